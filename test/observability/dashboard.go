package observability

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
)

// Panel is a panel of a dashboard with its queries.
type Panel struct {
	// Title of the panel.
	Title string
	// Queries in PromQL, with the dashboard's variables in them.
	Queries []string
}

// Dashboard is what matters of Grafana's JSON.
type Dashboard struct {
	// Title of the dashboard.
	Title string
	// Panels of all rows.
	Panels []Panel
	// Variables are the label and the series that each choice is made of.
	Variables []Variable
}

// Variable is a choice of a dashboard: the values of a label.
type Variable struct {
	// Name of the variable.
	Name string
	// Match are the series, and Label is the label.
	Match, Label string
}

var labelValues = regexp.MustCompile(`^label_values\((.*), *(\w+)\)$`)

// ReadDashboard reads a dashboard's file.
func ReadDashboard(path string) (*Dashboard, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Title  string `json:"title"`
		Panels []struct {
			Type    string `json:"type"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
		Templating struct {
			List []struct {
				Name  string `json:"name"`
				Type  string `json:"type"`
				Query any    `json:"query"`
			} `json:"list"`
		} `json:"templating"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	d := &Dashboard{Title: file.Title}
	for _, p := range file.Panels {
		if p.Type == "row" {
			continue
		}
		panel := Panel{Title: p.Title}
		for _, target := range p.Targets {
			panel.Queries = append(panel.Queries, target.Expr)
		}
		d.Panels = append(d.Panels, panel)
	}
	for _, v := range file.Templating.List {
		query, _ := v.Query.(string)
		if found := labelValues.FindStringSubmatch(query); found != nil {
			d.Variables = append(d.Variables, Variable{Name: v.Name, Match: found[1], Label: found[2]})
		}
	}
	return d, nil
}

// Fill puts values where Grafana would.
func Fill(query string, values map[string]string) string {
	pairs := []string{"$__rate_interval", "1m", "$__range", "5m", "$__interval", "15s"}
	for name, value := range values {
		pairs = append(pairs, "$"+name, value)
	}
	return strings.NewReplacer(pairs...).Replace(query)
}
