package topology

import (
	"slices"
	"testing"
)

func TestEveryCallLeadsToAComponent(t *testing.T) {
	t.Parallel()
	var names []string
	for _, component := range Components() {
		names = append(names, component.Name)
	}
	for _, component := range Components() {
		if !slices.IsSorted(component.Calls) {
			t.Errorf("the calls of %s are not sorted: %v", component.Name, component.Calls)
		}
		for _, callee := range component.Calls {
			if !slices.Contains(names, callee) {
				t.Errorf("%s calls %s, which does not exist", component.Name, callee)
			}
			if !slices.Contains(Callers(callee), component.Name) {
				t.Errorf("%s calls %s and is not among its callers", component.Name, callee)
			}
		}
		if slices.Contains(component.Calls, component.Name) {
			t.Errorf("%s calls itself", component.Name)
		}
	}
	if callers := Callers(Gateway); callers != nil {
		t.Errorf("%v call the gateway", callers)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	if found := Find("billing"); !found.Data || !slices.Equal(found.Calls, []string{"order"}) {
		t.Errorf("Find(billing) = %+v", found)
	}
	if found := Find("nowhere"); found.Data || found.Redis || found.Calls != nil {
		t.Errorf("Find(nowhere) = %+v", found)
	}
}
