package rollout

import "testing"

func TestRevisionsDifferInEachPart(t *testing.T) {
	t.Parallel()
	base := func() Revision {
		return Revision{
			Version: "1", Migrations: "m",
			Images: map[string]string{"order": "i", "auth": "i"}, Configs: map[string]string{"order": "c", "auth": "c"},
		}
	}
	want := base().Hash()
	if again := base().Hash(); again != want || len(want) != 16 {
		t.Errorf("hashes %q and %q", want, again)
	}
	for name, change := range map[string]func(*Revision){
		"version":    func(r *Revision) { r.Version = "2" },
		"migrations": func(r *Revision) { r.Migrations = "n" },
		"image":      func(r *Revision) { r.Images["order"] = "j" },
		"config":     func(r *Revision) { r.Configs["auth"] = "d" },
	} {
		changed := base()
		change(&changed)
		if changed.Hash() == want {
			t.Errorf("another %s is the same revision", name)
		}
	}
}
