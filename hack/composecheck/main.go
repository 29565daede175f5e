// Composecheck reads what `docker compose config --format json` prints and
// checks what the format's own rules cannot: that every component of the
// program has a container, that nothing but the gateway and the mail catcher is
// published, that secrets arrive as files, and that every setting exists.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
var sensitive = regexp.MustCompile(`(PASSWORD|SECRET|KEYS?|TOKEN|DATABASE_URL|DATABASE_ADMIN_URL)$`)

// ours are the variables that the program reads; others belong to the images.
var ours = regexp.MustCompile(`^(COMMERCE|STRIPE|SENDGRID)_`)

func main() {
	components := app.ComponentNames()
	known, err := settings(components)
	if err != nil {
		fmt.Fprintln(os.Stderr, "composecheck:", err)
		os.Exit(1)
	}
	problems, err := check(os.Stdin, components, known)
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

// envTag is how the program declares a setting.
var envTag = regexp.MustCompile(`env:"([A-Z0-9_,]+)"`)

// settings collects the variables that the program reads, from the tags in its
// source: a misspelt one would otherwise be ignored in silence.
func settings(components []string) (map[string]bool, error) {
	known := map[string]bool{}
	files, err := filepath.Glob("services/*/module/*.go")
	if err != nil {
		return nil, fmt.Errorf("find modules: %w", err)
	}
	own, err := filepath.Glob("internal/app/*.go")
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	for _, file := range append(files, own...) {
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		for _, tag := range envTag.FindAllSubmatch(source, -1) {
			for name := range strings.SplitSeq(string(tag[1]), ",") {
				known[name] = true
			}
		}
	}
	for _, component := range components {
		prefix := "COMMERCE_" + strings.ToUpper(component)
		known[prefix+"_URL"], known[prefix+"_DATABASE_URL"] = true, true
	}
	return known, nil
}

func check(r io.Reader, components []string, known map[string]bool) ([]string, error) {
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
		for variable := range s.Environment {
			setting := strings.TrimSuffix(variable, "_FILE")
			if ours.MatchString(variable) && !known[variable] && !known[setting] {
				complain("%s: the program has no setting %s", name, setting)
			}
		}
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
