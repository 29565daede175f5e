// Dashboards writes Grafana's dashboards to config/dashboards. They are data
// here and JSON there: what is shown is decided in platform.go and operator.go,
// how it looks in render.go.
//
//	go run ./hack/dashboards
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const outDir = "config/dashboards"

func main() {
	if err := generate(outDir); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

// generate writes every dashboard into a folder.
func generate(dir string) error {
	for _, b := range []board{platform(), operator()} {
		text, err := render(b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, b.file), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
