// Command image builds the container images of the local cluster without a
// container engine or a registry:
//
//	go run ./hack/image [--out DIR] [--version VERSION] NAME...
//
// It prints the archive of each image, which `ctr images import`, `docker load` and
// `kind load image-archive` read.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/commercestack/commercestack/hack/cluster/layout"
	"github.com/commercestack/commercestack/hack/image/catalog"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	place, err := layout.Default()
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	out := flags.String("out", place.Images(), "folder of the archives")
	version := flags.String("version", "0.1.0", "tag of the commercestack image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("say which image to build: %s", strings.Join(catalog.Names(), " "))
	}
	images := &catalog.Catalog{Dir: *out, Version: *version, Program: program}
	for _, name := range flags.Args() {
		started := time.Now()
		image, err := images.Build(ctx, name)
		if err != nil {
			return err
		}
		state := "unchanged"
		if image.Built {
			state = "built"
		}
		fmt.Fprintf(os.Stderr, "%6.1f s  %s is %s\n", time.Since(started).Seconds(), image.Ref, state)
		fmt.Println(image.Archive)
	}
	return nil
}

// program finds or builds a program of hack/tools.
func program(ctx context.Context, name string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join("hack", "tool"), "--path", name)
	command.Stderr = os.Stderr
	path, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("build %s (run from the repository's top folder): %w", name, err)
	}
	return strings.TrimSpace(string(path)), nil
}
