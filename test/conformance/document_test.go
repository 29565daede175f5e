package conformance

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/traps.md anew")

// rules are the traps in a sentence each.
var rules = [Traps]string{
	"Check and allocate stock in one transaction, with the rows locked in one order.",
	"Sum the demand for each product before it is held against the stock.",
	"The database itself refuses to promise more than there is.",
	"A webhook and the browser's return race; the payment is booked once.",
	"A run that lost undoes nothing of the run that won.",
	"The order exists before the money; money without an order goes back.",
	"A payment after the cancellation is given back, and the order stays cancelled.",
	"A payment is bound to its order, amount and currency, and is checked again when it settles.",
	"A refund is made once, whoever asks for it and however often.",
	"Amounts are whole minor units of their currency, rounded once a line, and add up.",
	"No quantity is negative, and no coupon is used more often than it may.",
	"Numbers are unique; those of invoices have no gaps.",
	"A timeout is not a failure: the outcome is unknown until it is found out.",
	"A request under a key acts once; its failures are not remembered.",
	"Events come late, twice and out of order, and change nothing twice.",
	"Events of the provider are kept by their id, and failed ones are tried again.",
	"An event is written with the fact it tells of, and leaves when that is committed.",
	"A slow receiver holds nobody else up.",
	"Refresh tokens are used once, with a grace for lost answers; reuse ends that login only.",
	"A new password ends the other sessions; a reset link works once.",
	"Neither answers nor their times tell who has an account.",
	"Registering a guest's address shows none of the guest's orders.",
	"What belongs to somebody else is not found.",
	"Carts are merged once, stolen never, and parallel changes all count.",
	"A mail is sent once; one that cannot be sent blocks no other.",
	"Without Redis limits still hold, for the right address.",
	"Lists are bounded and cost a fixed number of queries; what is shown is not stale for long.",
	"What is due is done once, whatever the number of processes.",
	"Only pictures are stored as pictures, and served as nothing else.",
}

const preface = `# The traps of online shops

Ways in which real shops sold goods they did not have, charged twice, lost orders or let strangers in, and the tests that
keep this one out of them. The cases run against any shop that is no live one, from outside:

` + "```console\n$ bin/commerce conformance --url http://127.0.0.1:8080\n```" + `

What cannot be seen from outside, because it needs a crash between two statements, a clock or a look into the database, is
held by tests of the component. This list is checked against the code: ` + "`go test ./test/conformance -update`" + ` writes it.
`

// TestTrapsAreDocumented compares docs/traps.md with the cases and tests that exist.
func TestTrapsAreDocumented(t *testing.T) {
	t.Parallel()
	tests := trapTests(t)
	var b strings.Builder
	b.WriteString(preface)
	for trap := 1; trap <= Traps; trap++ {
		fmt.Fprintf(&b, "\n## %d. %s\n\n", trap, strings.TrimSuffix(rules[trap-1], "."))
		for _, c := range Cases() {
			if c.Trap == trap {
				fmt.Fprintf(&b, "- `%s`: %s\n", c.Name, c.Rule)
			}
		}
		for _, test := range tests[trap] {
			fmt.Fprintf(&b, "- %s\n", test)
		}
	}
	b.WriteString("\n## The contract itself\n\n")
	for _, c := range Cases() {
		if c.Trap == 0 {
			fmt.Fprintf(&b, "- `%s`: %s\n", c.Name, c.Rule)
		}
	}
	path := filepath.Join("..", "..", "docs", "traps.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != b.String() {
		t.Errorf("docs/traps.md does not name the tests that exist (%v): go test ./test/conformance -update", err)
	}
}

var (
	trapTest   = regexp.MustCompile(`(?m)^func (TestTrap\d\d\w*)\(`)
	trapNumber = regexp.MustCompile(`^(?:Trap|And)(\d\d)`)
)

// trapTests finds the component tests of each trap: those that are named after
// it, and the holders.
func trapTests(t *testing.T) map[int][]string {
	t.Helper()
	found := make(map[int][]string)
	add := func(trap int, name, folder string) {
		if line := fmt.Sprintf("`%s` in `%s`", name, folder); !slices.Contains(found[trap], line) {
			found[trap] = append(found[trap], line)
		}
	}
	top := filepath.Join("..", "..")
	for _, folder := range []string{"internal", "services"} {
		err := fs.WalkDir(os.DirFS(top), folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(filepath.Join(top, path))
			if err != nil {
				return err
			}
			for _, match := range trapTest.FindAllStringSubmatch(string(content), -1) {
				for _, trap := range numbers(match[1]) {
					add(trap, match[1], filepath.ToSlash(filepath.Dir(path)))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range holders {
		add(h.Trap, h.Test, h.Folder)
	}
	return found
}

// numbers reads the traps from a name such as TestTrap05And09EveryStory.
func numbers(name string) []int {
	var all []int
	rest := strings.TrimPrefix(name, "Test")
	for match := trapNumber.FindStringSubmatch(rest); match != nil; match = trapNumber.FindStringSubmatch(rest) {
		trap, err := strconv.Atoi(match[1])
		if err != nil {
			return all
		}
		all, rest = append(all, trap), rest[len(match[0]):]
	}
	return all
}
