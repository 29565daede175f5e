package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/commercestack/commercestack/test/conformance"
)

// conformanceCommand examines a running shop.
type conformanceCommand struct {
	remoteShop `embed:""`

	Only             []int  `help:"Examine these traps only, such as 4,7."`
	SimulatorKeyFile string `env:"COMMERCE_SIMULATOR_KEY_FILE" help:"File with the secret key of the Stripe simulator; without it the data folder of commerce up is looked into."`
	Parallel         int    `default:"4" help:"Cases at once."`
}

// errTraps makes the exit status tell that the shop fell into a trap.
var errTraps = errors.New("the shop does not conform")

// Run implements the command.
func (c *conformanceCommand) Run(ctx context.Context, s streams) error {
	password, err := c.password()
	if err != nil {
		return err
	}
	key, err := c.simulatorKey()
	if err != nil {
		return err
	}
	var caller *http.Client // the suite's own, unless authorities are named
	if c.CAFile != "" {
		if caller, err = c.http(); err != nil {
			return err
		}
	}
	report, err := conformance.Run(ctx, conformance.Options{
		HTTP: caller, URL: c.URL, AdminEmail: c.AdminEmail, AdminPassword: password, SimulatorKey: key, Only: c.Only, Parallel: c.Parallel, Out: s.out,
	})
	if err != nil {
		return err
	}
	if len(c.Only) == 0 {
		if err := printHolders(s.out); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(s.out, "\n%d ok, %d failed, %d skipped in %.1f s\n",
		report.Passed(), report.Failed(), report.Skipped(), report.Took.Seconds()); err != nil {
		return err
	}
	if report.Failed() > 0 {
		return errTraps
	}
	return nil
}

// simulatorKey reads the key from its file, or from the data folder. Without
// either, the cases that need it are skipped.
func (c *conformanceCommand) simulatorKey() (string, error) {
	if c.SimulatorKeyFile != "" {
		content, err := os.ReadFile(c.SimulatorKeyFile)
		return testKey(content), err
	}
	content, err := os.ReadFile(filepath.Join(c.Data, "keys", "stripe-simulator-key"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return testKey(content), nil
}

// testKey completes a key that is kept without its prefix, as the data folder has it.
func testKey(content []byte) string {
	const prefix = "sk_test_"
	return prefix + strings.TrimPrefix(trimLine(string(content)), prefix)
}

// printHolders names what cannot be seen from outside, so that every trap is accounted for.
func printHolders(out io.Writer) error {
	if _, err := fmt.Fprintln(out, "\nHeld by component tests, because it cannot be seen from outside:"); err != nil {
		return err
	}
	for trap := 1; trap <= conformance.Traps; trap++ {
		for _, h := range conformance.HeldBy(trap) {
			if _, err := fmt.Fprintf(out, "trap %02d   %s/%s (%s)\n", h.Trap, h.Folder, h.Test, h.Why); err != nil {
				return err
			}
		}
	}
	return nil
}
