// Cover measures how much of the hand-written code the tests execute.
//
// Generated code, development programs and test support are left out: they say
// nothing about the quality of the tests. A statement counts as covered when any
// package's test executes it.
//
//	go run ./hack/cover -min 90
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

const module = "github.com/commercestack/commercestack"

// excluded packages are not the product, or have nothing but generated code.
var excluded = regexp.MustCompile(`^` + module + `/(api/gen|hack|test|internal/[a-z]*test)(/|$)`)

// generated is the marker that Go tools agree on (go help generate).
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.?$`)

func main() {
	profile := flag.String("profile", "", "read this coverage profile instead of running the tests")
	keep := flag.String("out", "coverage.out", "where the profile is written")
	timeout := flag.String("timeout", "15m", "limit of each package's tests")
	minimum := flag.Float64("min", 90, "percentage below which a package is listed")
	strict := flag.Bool("strict", false, "fail when the total is below -min")
	flag.Parse()
	if err := run(*profile, *keep, *timeout, *minimum, *strict, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(1)
	}
}

func run(profile, keep, timeout string, minimum float64, strict bool, patterns []string) error {
	if profile == "" {
		if err := runTests(keep, timeout, patterns); err != nil {
			return err
		}
		profile = keep
	}
	file, err := os.Open(profile)
	if err != nil {
		return fmt.Errorf("open profile: %w", err)
	}
	defer file.Close()
	blocks, err := parse(file)
	if err != nil {
		return err
	}
	packages, total := sum(blocks, handWritten)
	report(os.Stdout, packages, total, minimum)
	if strict && total.percent() < minimum {
		return fmt.Errorf("total %.1f %% is below %.0f %%", total.percent(), minimum)
	}
	return nil
}

// runTests runs the tests of the packages that match patterns (all by default),
// counting statements of every product package, whichever test executes them.
func runTests(profile, timeout string, patterns []string) error {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	listed, err := exec.Command("go", "list", "-e", "./...").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	var counted []string
	for name := range strings.FieldsSeq(string(listed)) {
		if !excluded.MatchString(name) && !generatedOnly(strings.TrimPrefix(name, module+"/")) {
			counted = append(counted, name)
		}
	}
	args := []string{
		"test", "-p", "2", "-timeout", timeout, "-covermode", "set",
		"-coverprofile", profile, "-coverpkg", strings.Join(counted, ","),
	}
	cmd := exec.Command("go", append(args, patterns...)...)
	cmd.Stderr = os.Stderr
	// The coverage that each package prints is of the whole product; only failures matter here.
	var output bytes.Buffer
	cmd.Stdout = &output
	if err := cmd.Run(); err != nil {
		_, _ = output.WriteTo(os.Stdout)
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

func generatedOnly(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && handWritten(file) {
			return false
		}
	}
	return true
}

// handWritten reports whether the file, relative to the module, was written by a person.
func handWritten(file string) bool {
	raw, err := os.ReadFile(file)
	if err != nil {
		return true
	}
	head, _, _ := bytes.Cut(raw, []byte("\npackage "))
	return !generated.Match(head)
}

// count is how many statements there are and how many ran.
type count struct{ covered, total int }

func (c count) percent() float64 {
	if c.total == 0 {
		return 100
	}
	return 100 * float64(c.covered) / float64(c.total)
}

// block is a run of statements: "file.go:12.3,14.5".
type block struct {
	statements int
	covered    bool
}

// parse reads a coverage profile. With -coverpkg each test binary reports every
// block again, so a block is covered when one of its lines says so.
func parse(r io.Reader) (map[string]block, error) {
	blocks := map[string]block{}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Text()
		if strings.HasPrefix(line, "mode:") || line == "" {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("profile line %q: want position, statements, count", line)
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("profile line %q: %w", line, err)
		}
		b := blocks[fields[0]]
		blocks[fields[0]] = block{statements: statements, covered: b.covered || fields[2] != "0"}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return blocks, nil
}

// sum adds up blocks by package, leaving out files for which keep says no.
func sum(blocks map[string]block, keep func(file string) bool) (map[string]count, count) {
	packages, total, kept := map[string]count{}, count{}, map[string]bool{}
	for position, b := range blocks {
		file, _, _ := strings.Cut(position, ":")
		file = strings.TrimPrefix(file, module+"/")
		keepIt, known := kept[file]
		if !known {
			keepIt = keep(file)
			kept[file] = keepIt
		}
		if !keepIt {
			continue
		}
		c := packages[path.Dir(file)]
		c.total += b.statements
		total.total += b.statements
		if b.covered {
			c.covered += b.statements
			total.covered += b.statements
		}
		packages[path.Dir(file)] = c
	}
	return packages, total
}

func report(w io.Writer, packages map[string]count, total count, minimum float64) {
	names := make([]string, 0, len(packages))
	for name, c := range packages {
		if c.percent() < minimum {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := packages[names[i]], packages[names[j]]
		return a.total-a.covered > b.total-b.covered
	})
	if len(names) > 0 {
		fmt.Fprintf(w, "Packages under %.0f %%, most uncovered statements first:\n", minimum)
		for _, name := range names {
			c := packages[name]
			fmt.Fprintf(w, "  %5.1f %%  %5d uncovered  %s\n", c.percent(), c.total-c.covered, name)
		}
	}
	fmt.Fprintf(w, "Hand-written code: %.1f %% of %d statements in %d packages.\n", total.percent(), total.total, len(packages))
}
