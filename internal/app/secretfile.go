package app

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// fileSettings take a file by design; their content is not a value.
var fileSettings = []string{
	"COMMERCE_IDENTITY_KEYS_FILE", "COMMERCE_ENCRYPTION_KEYS_FILE", "COMMERCE_ADMIN_PASSWORD_FILE", "COMMERCE_SIMULATOR_KEY_FILE",
	"COMMERCE_TLS_CERT_FILE", "COMMERCE_TLS_KEY_FILE", "COMMERCE_TLS_CA_FILE",
	"COMMERCE_NATS_CREDS_FILE", "COMMERCE_NATS_CA_FILE",
	"COMMERCE_GATEWAY_TLS_CERT_FILE", "COMMERCE_GATEWAY_TLS_KEY_FILE", "COMMERCE_GATEWAY_ROUTES_FILE",
}

// secretSetting matches the variables that may be given as a file.
var secretSetting = regexp.MustCompile(`^((?:COMMERCE|STRIPE|SENDGRID)_[A-Z0-9_]+)_FILE$`)

// readSecretFiles lets every setting COMMERCE_X (and STRIPE_X, SENDGRID_X) come
// from the file that COMMERCE_X_FILE names, the way container platforms hand over secrets: the
// value is then in nobody's process listing, image or compose file. An empty
// file leaves the setting unset; giving both is a mistake that is reported.
func readSecretFiles(environ []string) error {
	for _, entry := range environ {
		variable, path, _ := strings.Cut(entry, "=")
		match := secretSetting.FindStringSubmatch(variable)
		if match == nil || path == "" || slices.Contains(fileSettings, variable) {
			continue
		}
		name := match[1]
		if os.Getenv(name) != "" {
			return fmt.Errorf("both %s and %s are set: choose one", name, variable)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", variable, err)
		}
		value := trimLine(string(content))
		if value == "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: the file's content cannot be a setting", variable)
		}
	}
	return nil
}
