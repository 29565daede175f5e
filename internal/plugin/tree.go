package plugin

import (
	"fmt"
	"io"
	"strings"
)

// state is how a part of the stack fares.
type state string

// The states, from best to worst.
const (
	stateInfo state = "info"
	stateOK   state = "ok"
	stateBusy state = "busy"
	stateBad  state = "bad"
)

// worse is the worse of two states.
func (s state) worse(other state) state {
	rank := map[state]int{stateInfo: 0, stateOK: 1, stateBusy: 2, stateBad: 3}
	if rank[other] > rank[s] {
		return other
	}
	return s
}

// node is a part of the stack and what it is made of.
type node struct {
	// Kind is the kind of an object, or what the node stands for.
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	// State is the worst of the node's own and its parts'.
	State state `json:"state"`
	// Text says why, for people.
	Text  string `json:"text,omitempty"`
	Parts []node `json:"parts,omitempty"`
	// folded parts are printed only where they do not fare well.
	folded bool
}

// with adds parts, whose state becomes the node's where it is worse.
func (n node) with(parts ...node) node {
	n.Parts = append(n.Parts, parts...)
	for i := range parts {
		if parts[i].State != stateInfo {
			n.State = n.State.worse(parts[i].State)
		}
	}
	return n
}

// printer writes trees.
type printer struct {
	out    io.Writer
	color  bool
	expand bool
}

func (p printer) write(n node) {
	fmt.Fprintln(p.out, p.line(n))
	p.parts(n, "")
}

func (p printer) parts(n node, indent string) {
	shown := make([]node, 0, len(n.Parts))
	for i := range n.Parts {
		if !n.folded || p.expand || n.Parts[i].State == stateBad || n.Parts[i].State == stateBusy {
			shown = append(shown, n.Parts[i])
		}
	}
	for i := range shown {
		branch, next := "├─ ", "│  "
		if i == len(shown)-1 {
			branch, next = "└─ ", "   "
		}
		fmt.Fprintln(p.out, indent+branch+p.line(shown[i]))
		p.parts(shown[i], indent+next)
	}
}

// line is one node: mark, kind, name and text.
func (p printer) line(n node) string {
	mark, color := "·", ""
	switch n.State {
	case stateOK:
		mark, color = "✓", "\x1b[32m"
	case stateBusy:
		mark, color = "○", "\x1b[33m"
	case stateBad:
		mark, color = "✗", "\x1b[31m"
	case stateInfo:
	}
	if p.color && color != "" {
		mark = color + mark + "\x1b[0m"
	}
	words := []string{mark}
	for _, word := range []string{n.Kind, n.Name} {
		if word != "" {
			words = append(words, word)
		}
	}
	line := strings.Join(words, " ")
	if n.Text != "" {
		// A message of a container may have lines of its own, which would break the tree, or
		// escape sequences, which would reach the terminal.
		line += ": " + strings.Join(strings.FieldsFunc(n.Text, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	}
	return line
}
