package app

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/services/product/catalog"
)

// importDemoCommand fills an empty shop with the demo catalog. It can be
// repeated: a shop that has products keeps them, and pictures that are missing
// are added.
type importDemoCommand struct {
	remoteShop `embed:""`

	Currency string        `default:"EUR" env:"COMMERCE_CURRENCY" help:"ISO 4217 currency of the prices."`
	Pictures bool          `default:"true" negatable:"" help:"Add pictures."`
	Wait     time.Duration `default:"2m" help:"How long to wait for a shop that does not answer yet."`
}

// demoPause lies between two tries to reach the shop.
const demoPause = time.Second

// Run implements the command.
func (c *importDemoCommand) Run(ctx context.Context, s streams) error {
	client, err := c.reach(ctx)
	if err != nil {
		return err
	}
	loaded, err := catalog.Load(ctx, client, c.Currency)
	if err != nil {
		return err
	}
	if loaded == 0 {
		_, err = fmt.Fprintln(s.out, "the shop has products already")
	} else {
		_, err = fmt.Fprintf(s.out, "%d products created\n", loaded)
	}
	if err != nil || !c.Pictures {
		return err
	}
	if err := catalog.Paint(ctx, client); err != nil {
		return fmt.Errorf("the pictures are incomplete, run it again: %w", err)
	}
	_, err = fmt.Fprintln(s.out, "every product of the demo catalog has its picture")
	return err
}

// reach logs in, and waits while the shop is not there.
func (c *importDemoCommand) reach(ctx context.Context) (*connect.Client, error) {
	patient, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	for {
		client, err := c.client(ctx)
		if err == nil || connect.CodeOf(err) != connect.CodeUnavailable {
			return client, err
		}
		select {
		case <-patient.Done():
			return nil, err
		case <-time.After(demoPause):
		}
	}
}
