// Composecheck reads what `docker compose config --format json` prints and
// checks what the format's own rules cannot: that every component of the
// program has a container, that nothing but the gateway and the mail catcher is
// published, and that secrets arrive as files.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/commercestack/commercestack/internal/app"
)

// project is the part of the resolved file that is checked.
type project struct {
	Services map[string]service `json:"services"`
}

type service struct {
	Environment map[string]*string `json:"environment"`
	Ports       []struct {
		HostIP string `json:"host_ip"`
	} `json:"ports"`
	Secrets     []secret  `json:"secrets"`
	ReadOnly    bool      `json:"read_only"`
	Healthcheck *struct{} `json:"healthcheck"`
}

type secret struct {
	Source string `json:"source"`
}

// published are the services that people reach from outside.
var published = []string{"gateway", "mail"}

// sensitive are names whose value must not stand in the environment.
var sensitive = regexp.MustCompile(`(PASSWORD|SECRET|KEYS?|TOKEN|DATABASE_URL|ADMIN_URL)$`)

func main() {
	problems, err := check(os.Stdin, app.ComponentNames())
	if err != nil {
		fmt.Fprintln(os.Stderr, "composecheck:", err)
		os.Exit(1)
	}
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, "compose.yaml:", problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Println("compose.yaml is right.")
}

func check(r io.Reader, components []string) ([]string, error) {
	var p project
	if err := json.NewDecoder(r).Decode(&p); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	var problems []string
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, component := range components {
		s, ok := p.Services[component]
		if !ok {
			complain("component %s has no service", component)
			continue
		}
		if value := s.Environment["COMMERCE_COMPONENTS"]; value == nil || *value != component {
			complain("%s: COMMERCE_COMPONENTS is not %s", component, component)
		}
		if !s.ReadOnly {
			complain("%s: the file system is not read-only", component)
		}
	}
	for name, s := range p.Services {
		if s.Healthcheck == nil {
			complain("%s: has no healthcheck", name)
		}
		if len(s.Ports) > 0 && !slices.Contains(published, name) {
			complain("%s: publishes a port", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				complain("%s: publishes to %q by default; only this machine should reach it", name, port.HostIP)
			}
		}
		checkSecrets(name, s, complain)
	}
	slices.Sort(problems)
	return problems, nil
}

// checkSecrets finds secrets in the environment, and files that are named but not mounted.
func checkSecrets(name string, s service, complain func(string, ...any)) {
	for variable, value := range s.Environment {
		if sensitive.MatchString(variable) {
			complain("%s: %s holds a secret; use %s_FILE and a compose secret", name, variable, variable)
		}
		if value == nil {
			continue
		}
		file, ok := strings.CutPrefix(*value, "/run/secrets/")
		if !ok {
			continue
		}
		mounted := slices.ContainsFunc(s.Secrets, func(s secret) bool { return s.Source == file })
		if !mounted {
			complain("%s: %s names the secret %s, which is not mounted", name, variable, file)
		}
	}
}
