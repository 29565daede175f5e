package main

import (
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	gstat "github.com/grafana/grafana-foundation-sdk/go/stat"
	gtable "github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

const (
	graphHeight = 8
	statHeight  = 4
	tableHeight = 10
	thirdWidth  = 8
)

// source is the Prometheus that is chosen at the top of the dashboard.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// render returns a dashboard as Grafana's JSON.
func render(b board) ([]byte, error) {
	//nolint:staticcheck // dashboardv2 is for the newest Grafana only; every Grafana reads this
	builder := dashboard.NewDashboardBuilder(b.title).
		Uid(b.uid).Description(b.description).Tags([]string{"commercestack"}).
		Time("now-1h", "now").Refresh("30s").Timezone(common.TimeZoneBrowser).Tooltip(dashboard.DashboardCursorSyncCrosshair).Readonly().
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus"))
	for _, v := range b.variables {
		builder.WithVariable(dashboard.NewQueryVariableBuilder(v.name).Label(v.label).Datasource(source()).
			Query(dashboard.StringOrMap{String: new(v.query)}).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
			Sort(dashboard.VariableSortAlphabeticalAsc).Multi(true).IncludeAll(true).AllValue(".*").
			Current(dashboard.VariableOption{
				Selected: new(true), Text: dashboard.StringOrArrayOfString{String: new("All")}, Value: dashboard.StringOrArrayOfString{String: new("$__all")},
			}))
	}
	for _, r := range b.rows {
		builder.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			builder.WithPanel(renderPanel(p))
		}
	}
	built, err := builder.Build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(built, "", "  ")
	return append(text, '\n'), err
}

func renderPanel(p panel) cog.Builder[dashboard.Panel] {
	width := p.width
	if width == 0 {
		width = thirdWidth
	}
	switch p.kind {
	case stat:
		return renderStat(p, width)
	case table:
		return renderTable(p, width)
	case graph:
	}
	builder := timeseries.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).Datasource(source()).
		Height(graphHeight).Span(width).Min(0).LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever).
		Thresholds(thresholds(p)).Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true))
	if p.bad != 0 {
		builder.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	for i, q := range p.queries {
		builder.WithTarget(prometheus.NewDataqueryBuilder().Datasource(source()).RefId(refID(i)).Expr(q.expr).LegendFormat(q.legend).Range())
	}
	return builder
}

func renderStat(p panel, width uint32) cog.Builder[dashboard.Panel] {
	builder := gstat.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).Datasource(source()).
		Height(statHeight).Span(width).Thresholds(thresholds(p)).GraphMode(common.BigValueGraphModeArea).ColorMode(common.BigValueColorModeValue).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	for i, q := range p.queries {
		builder.WithTarget(prometheus.NewDataqueryBuilder().Datasource(source()).RefId(refID(i)).Expr(q.expr).LegendFormat(q.legend).Range())
	}
	return builder
}

// renderTable joins the queries' newest figures by their labels; each query is a column.
func renderTable(p panel, width uint32) cog.Builder[dashboard.Panel] {
	builder := gtable.NewPanelBuilder().Title(p.title).Description(p.description).Datasource(source()).Height(tableHeight).Span(width).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}})
	names := make(map[string]string, len(p.queries))
	for i, q := range p.queries {
		builder.WithTarget(prometheus.NewDataqueryBuilder().Datasource(source()).RefId(refID(i)).Expr(q.expr).
			Format(prometheus.PromQueryFormatTable).Instant())
		names["Value #"+refID(i)] = q.legend
		builder.OverrideByName(q.legend, []dashboard.DynamicConfigValue{{Id: "unit", Value: q.unit}})
	}
	return builder.WithTransformation(dashboard.DataTransformerConfig{
		Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{"Time": true}, "renameByName": names},
	})
}

func thresholds(p panel) cog.Builder[dashboard.ThresholdsConfig] {
	base, high := "green", "red"
	if p.low {
		base, high = "red", "green"
	}
	steps := []dashboard.Threshold{{Color: base}}
	switch {
	case p.low && p.bad != 0 && p.warn != 0:
		steps = append(steps, dashboard.Threshold{Value: new(p.bad), Color: "orange"}, dashboard.Threshold{Value: new(p.warn), Color: high})
	case p.bad != 0:
		if p.warn != 0 {
			steps = append(steps, dashboard.Threshold{Value: new(p.warn), Color: "orange"})
		}
		steps = append(steps, dashboard.Threshold{Value: new(p.bad), Color: high})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

func refID(i int) string { return string(rune('A' + i)) }
