package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// The values of --output.
const (
	outputTree = "tree"
	outputJSON = "json"
)

// statusOptions are the flags of status.
type statusOptions struct {
	options

	output        string
	allNamespaces bool
	expand        bool
}

func newStatus(o options) *cobra.Command {
	s := statusOptions{options: o}
	command := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show a stack as a tree, with the reasons of what is not ready",
		Long: "Show a stack as a tree, with the reasons of what is not ready. Without NAME, every stack of the namespace.\n" +
			"Parts that fare well are folded; --expand shows them.\n\n" +
			"Exit code: 0 every stack is ready, 1 one is not, 2 one could not be read or there is none.",
		Example: "  kubectl commerce status shop -n production\n  kubectl commerce status -A -o json | jq '.items[] | select(.ready | not)'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return s.run(cmd.Context(), name)
		},
	}
	command.Flags().BoolVarP(&s.allNamespaces, "all-namespaces", "A", false, "Show the stacks of all namespaces")
	command.Flags().StringVarP(&s.output, "output", "o", outputTree, "How to show them: tree or json")
	command.Flags().BoolVar(&s.expand, "expand", false, "Show the parts that fare well, too")
	return command
}

func (s statusOptions) run(ctx context.Context, name string) error {
	if s.output != outputTree && s.output != outputJSON {
		return fmt.Errorf("--output is %q, want tree or json", s.output)
	}
	if s.allNamespaces && name != "" {
		return fmt.Errorf("a stack is named (%s) and all are asked for (--all-namespaces): choose one", name)
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	namespace := c.namespace
	if s.allNamespaces {
		namespace = ""
	}
	stacks, err := c.stacks(ctx, namespace, name)
	if err != nil {
		return err
	}
	reports, err := s.reports(ctx, c, stacks)
	if err != nil {
		return err
	}
	if err := s.show(reports); err != nil {
		return err
	}
	for i := range reports {
		if !reports[i].Ready {
			return errNotReady
		}
	}
	return nil
}

func (s statusOptions) reports(ctx context.Context, c cluster, stacks []v1alpha1.CommerceStack) ([]report, error) {
	reports := make([]report, len(stacks))
	for i := range stacks {
		read, err := c.read(ctx, stacks[i])
		if err != nil {
			return nil, err
		}
		reports[i] = newReport(read, s.now())
	}
	return reports, nil
}

func (s statusOptions) show(reports []report) error {
	if s.output == outputJSON {
		encoder := json.NewEncoder(s.streams.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(struct {
			Items []report `json:"items"`
		}{reports})
	}
	p := printer{out: s.streams.Out, color: colored(s.streams.Out), expand: s.expand}
	for i := range reports {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		p.write(reports[i].Tree)
	}
	return nil
}

// colored reports whether an output is a terminal whose user wants colours.
func colored(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}
