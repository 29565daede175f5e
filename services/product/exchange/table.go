package exchange

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/product"
)

// Limits of a file.
const (
	maxRows    = 100_000
	maxColumns = 500
)

// table is a CSV file whose cells are found by the name of their column.
type table struct {
	columns map[string]int
	names   []string
	rows    []row
	errors  []product.RowError
}

type row struct {
	table *table
	line  int
	cells []string
}

// readTable reads comma or semicolon separated text with a header. Column names
// are compared in lower case without spaces around; cells are trimmed. Spaces
// around a quoted cell are allowed, which encoding/csv does not: files that
// people line up by hand have them.
func readTable(data []byte) (*table, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return nil, fault.Invalid("content", "the file is not UTF-8 text")
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, fault.Invalid("content", "the file is not text")
	}
	s := &scanner{text: string(data), line: 1, comma: ','}
	first, _, _ := strings.Cut(s.text, "\n")
	if strings.Count(first, ";") > strings.Count(first, ",") {
		s.comma = ';'
	}
	header, _, problem := s.record()
	if header == nil || problem != "" {
		return nil, fault.Invalid("content", "the file has no header line that can be read")
	}
	if len(header) > maxColumns {
		return nil, fault.Invalid("content", "the file has more than %d columns", maxColumns)
	}
	t := &table{columns: make(map[string]int, len(header))}
	for i, name := range header {
		name = strings.ToLower(name)
		t.names = append(t.names, name)
		if _, twice := t.columns[name]; !twice {
			t.columns[name] = i
		}
	}
	for {
		cells, line, problem := s.record()
		switch {
		case cells == nil:
			return t, nil
		case problem != "":
			t.errors = append(t.errors, product.RowError{Line: line, Message: problem})
		case len(cells) > len(header):
			t.errors = append(t.errors, product.RowError{Line: line, Message: "the row has more cells than the header"})
		case len(t.rows) >= maxRows:
			return nil, fault.Invalid("content", "the file has more than %d rows", maxRows)
		case strings.Join(cells, "") != "":
			t.rows = append(t.rows, row{table: t, line: line, cells: cells})
		}
	}
}

// has reports whether one of the columns exists.
func (t *table) has(names ...string) bool {
	for _, name := range names {
		if _, ok := t.columns[name]; ok {
			return true
		}
	}
	return false
}

// Cells that a spreadsheet would run as a formula get an apostrophe in front, which reading takes away again.
const formulas = "=+-@"

func disarm(cell string) string {
	if cell != "" && strings.ContainsRune(formulas, rune(cell[0])) || strings.HasPrefix(cell, "'") {
		return "'" + cell
	}
	return cell
}

func rearm(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && (cell[1] == '\'' || strings.ContainsRune(formulas, rune(cell[1]))) {
		return cell[1:]
	}
	return cell
}

// get returns the cell of the first of the columns that exists, "" without one.
func (r row) get(names ...string) string {
	for _, name := range names {
		if i, ok := r.table.columns[name]; ok {
			if i < len(r.cells) {
				return r.cells[i]
			}
			return ""
		}
	}
	return ""
}

// named returns the first of a column's names that the file has, so that a
// mistake is told in the file's own words.
func (r row) named(names ...string) string {
	for _, name := range names {
		if _, ok := r.table.columns[strings.ToLower(name)]; ok {
			return name
		}
	}
	return names[0]
}

// scanner cuts text into records.
type scanner struct {
	text  string
	pos   int
	line  int
	comma byte
}

// record returns the next record and the line it starts at; nil at the end. A
// problem concerns this record only; reading goes on after it.
func (s *scanner) record() (cells []string, line int, problem string) {
	if s.pos >= len(s.text) {
		return nil, s.line, ""
	}
	line = s.line
	for {
		cell, complaint := s.cell()
		cell = rearm(cell)
		if complaint != "" && problem == "" {
			problem = complaint
		}
		cells = append(cells, cell)
		if s.pos >= len(s.text) {
			return cells, line, problem
		}
		end := s.text[s.pos] == '\n'
		s.pos++
		if end {
			s.line++
			return cells, line, problem
		}
	}
}

// cell reads up to the next separator or line end and leaves it.
func (s *scanner) cell() (cell, problem string) {
	start := s.pos
	for s.pos < len(s.text) && (s.text[s.pos] == ' ' || s.text[s.pos] == '\t') {
		s.pos++
	}
	if s.pos >= len(s.text) || s.text[s.pos] != '"' {
		s.pos = start
		return strings.TrimSpace(s.plain()), ""
	}
	s.pos++
	var b strings.Builder
	for {
		quote := strings.IndexByte(s.text[s.pos:], '"')
		if quote < 0 {
			rest := s.text[s.pos:]
			s.line += strings.Count(rest, "\n")
			s.pos = len(s.text)
			return b.String(), "a quoted cell does not end"
		}
		part := s.text[s.pos : s.pos+quote]
		s.line += strings.Count(part, "\n")
		b.WriteString(part)
		s.pos += quote + 1
		if s.pos >= len(s.text) || s.text[s.pos] != '"' {
			break
		}
		b.WriteByte('"')
		s.pos++
	}
	if strings.TrimSpace(s.plain()) != "" {
		problem = "there is text after a quoted cell"
	}
	return strings.TrimSpace(strings.ReplaceAll(b.String(), "\r\n", "\n")), problem
}

// plain returns the text up to the next separator or line end.
func (s *scanner) plain() string {
	start := s.pos
	for s.pos < len(s.text) && s.text[s.pos] != s.comma && s.text[s.pos] != '\n' {
		s.pos++
	}
	return s.text[start:s.pos]
}

// writer writes records.
type writer struct {
	buffer *bytes.Buffer
	header []string
	index  map[string]int
}

func (w *writer) columns(names ...string) {
	w.header = names
	w.index = make(map[string]int, len(names))
	for i, name := range names {
		w.index[name] = i
	}
	w.line(names)
}

// row writes one record from pairs of column and cell.
func (w *writer) row(pairs ...string) {
	cells := make([]string, len(w.header))
	for i := 0; i+1 < len(pairs); i += 2 {
		cells[w.index[pairs[i]]] = pairs[i+1]
	}
	w.line(cells)
}

func (w *writer) line(cells []string) {
	for i, cell := range cells {
		if i > 0 {
			w.buffer.WriteByte(',')
		}
		cell = disarm(cell)
		if strings.ContainsAny(cell, "\",\r\n;") || cell != strings.TrimSpace(cell) {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		w.buffer.WriteString(cell)
	}
	w.buffer.WriteString("\n")
}
