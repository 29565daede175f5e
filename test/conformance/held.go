package conformance

// Traps is how many traps there are, numbered from 1.
const Traps = 29

// Holder is a component test that holds a part of a trap that cannot be seen
// from outside: it needs a crash between two statements, or a look inside.
type Holder struct {
	// Trap is its number.
	Trap int
	// Test is the name of the test function.
	Test string
	// Folder of the test's package, from the top of the tree.
	Folder string
	// Why it cannot be seen from outside.
	Why string
}

const (
	needsCrash  = "it needs a crash between two statements"
	needsInside = "it needs a look inside"
	needsTime   = "it needs a clock"
)

var holders = []Holder{}

// HeldBy returns the component tests that hold a trap.
func HeldBy(trap int) []Holder {
	var found []Holder
	for _, h := range holders {
		if h.Trap == trap {
			found = append(found, h)
		}
	}
	return found
}
