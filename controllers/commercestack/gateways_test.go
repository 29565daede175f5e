package commercestack_test

import (
	"context"
	"errors"
	"sync"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/measure"
)

// gateways are what the gateways of a test tell: the weights of the routing table
// that they read last, and the values of measures.
type gateways struct {
	mu sync.Mutex
	// follow is the routing table, as gateways see it.
	table []desired.CanaryRoute
	// values by measure; without one there is no data.
	values map[string]float64
	// volume of the database; nil when nobody knows.
	volume *measure.Volume
	// asked are the questions, in order.
	asked []measure.Question
}

// Weights are those of the table.
func (g *gateways) Weights(context.Context, string) (map[string]int32, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	weights := map[string]int32{}
	for _, route := range g.table {
		weights[route.Component] = route.Weight
	}
	return weights, nil
}

// Volume is what was told of the volume last.
func (g *gateways) Volume(_ context.Context, addresses []string) (measure.Volume, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.volume == nil || len(addresses) == 0 {
		return measure.Volume{}, errors.New("no pod answers")
	}
	return *g.volume, nil
}

// Begin does nothing: values are what they are.
func (g *gateways) Begin(context.Context, measure.Question) {}

// Measure is the value of the measure.
func (g *gateways) Measure(_ context.Context, q measure.Question) (*float64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, q)
	value, ok := g.values[q.Measure]
	if !ok {
		return nil, nil
	}
	return &value, nil
}

// tell sets the value of every measure of a question.
func (g *gateways) tell(values map[string]float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.values = values
}

// holds says what is known of the database's volume; nil is that no pod answers.
func (g *gateways) holds(volume *measure.Volume) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.volume = volume
}

// reads lets the gateways read a routing table.
func (g *gateways) reads(table string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.table = desired.ParseRoutes(table)
}
