package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// kubeletSettings are the kernel settings that a kubelet sets for the whole machine.
var kubeletSettings = []string{
	"/proc/sys/vm/overcommit_memory",
	"/proc/sys/vm/panic_on_oom",
	"/proc/sys/kernel/panic",
	"/proc/sys/kernel/panic_on_oops",
	"/proc/sys/kernel/keys/root_maxkeys",
	"/proc/sys/kernel/keys/root_maxbytes",
}

// SaveSettings writes the present kernel settings into a file.
func SaveSettings(path string) error {
	values := map[string]string{}
	for _, setting := range kubeletSettings {
		value, err := os.ReadFile(setting)
		if err == nil {
			values[setting] = strings.TrimSpace(string(value))
		}
	}
	data, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode the kernel settings: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("save the kernel settings: %w", err)
	}
	return nil
}

// RestoreSettings sets the kernel settings of the file again. Without the file
// nothing was saved and nothing is restored.
func RestoreSettings(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the saved kernel settings: %w", err)
	}
	var values map[string]string
	if err := json.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("decode the saved kernel settings: %w", err)
	}
	for setting, value := range values {
		present, err := os.ReadFile(setting)
		if err != nil || strings.TrimSpace(string(present)) == value {
			continue
		}
		if err := os.WriteFile(setting, []byte(value), 0o644); err != nil {
			return fmt.Errorf("restore %s: %w", setting, err)
		}
	}
	return nil
}
