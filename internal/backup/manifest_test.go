package backup_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/backup"
)

var midnight = time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)

func manifest(at time.Time) backup.Manifest {
	return backup.Manifest{
		Format: backup.Format, Head: backup.NewHead(at), KeyID: "k1", DumpSize: 10, StoredSize: 20, SHA256: strings.Repeat("ab", 32),
	}
}

func TestManifestsAreReadBack(t *testing.T) {
	t.Parallel()
	m := manifest(midnight)
	m.Schemas, m.Migrations, m.Server = []string{"auth", "order"}, map[string]int64{"order/order": 3}, "15.18"
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	read, err := backup.ParseManifest(text)
	if err != nil || read.ID != m.ID || !read.SnapshotTime.Equal(midnight) || read.Migrations["order/order"] != 3 {
		t.Errorf("%+v, %v", read, err)
	}
}

func TestDamagedManifestsAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*backup.Manifest){
		"another format":    func(m *backup.Manifest) { m.Format = 2 },
		"no key":            func(m *backup.Manifest) { m.KeyID = "" },
		"a negative size":   func(m *backup.Manifest) { m.DumpSize = -1 },
		"a short sum":       func(m *backup.Manifest) { m.SHA256 = "ab" },
		"an id of a path":   func(m *backup.Manifest) { m.ID = "../../etc/passwd" },
		"another time":      func(m *backup.Manifest) { m.SnapshotTime = midnight.Add(time.Second) },
		"an impossible day": func(m *backup.Manifest) { m.ID = "20261399t000000z-00000000" },
	} {
		m := manifest(midnight)
		change(&m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.ParseManifest(text); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, err := json.Marshal(manifest(midnight))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":          "",
		"half":             string(good[:len(good)/2]),
		"something behind": string(good) + "{}",
		"a field more":     `{"trust": true, ` + string(good[1:]),
		"endless":          strings.Repeat(" ", 1<<20) + string(good),
	} {
		if _, err := backup.ParseManifest([]byte(text)); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	good, err := json.Marshal(manifest(midnight))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"id":"20261126t000000z-00000000"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := backup.ParseManifest(data)
		if err != nil {
			return
		}
		if strings.ContainsAny(m.ID, "/.") || m.DumpSize < 0 || len(m.SHA256) != 64 {
			t.Errorf("accepted %q as %+v", data, m)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.ParseManifest(again); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return midnight.AddDate(0, 0, -n) }
	for name, tt := range map[string]struct {
		days      []int // how old each is
		retention time.Duration
		gone      []int
	}{
		"none":                       {nil, 24 * time.Hour, nil},
		"all young":                  {[]int{0, 1, 2}, 72 * time.Hour, nil},
		"exactly as old as allowed":  {[]int{0, 3}, 72 * time.Hour, nil},
		"some old":                   {[]int{0, 1, 4, 9}, 72 * time.Hour, []int{9, 4}},
		"the newest stays":           {[]int{400}, 72 * time.Hour, nil},
		"the newest stays, not more": {[]int{400, 401, 402}, 72 * time.Hour, []int{402, 401}},
		"no retention":               {[]int{0, 4000}, 0, nil},
		"a clock that ran ahead":     {[]int{-1, 0, 9}, 72 * time.Hour, []int{9}},
	} {
		var all []backup.Manifest
		ids := map[string]int{}
		for _, n := range tt.days {
			m := manifest(day(n))
			ids[m.ID] = n
			all = append(all, m)
		}
		gone := backup.Expired(all, midnight, tt.retention)
		if len(gone) != len(tt.gone) {
			t.Errorf("%s: %d are gone, want %v", name, len(gone), tt.gone)
			continue
		}
		for i, m := range gone {
			if ids[m.ID] != tt.gone[i] {
				t.Errorf("%s: %d days old is gone, want %v", name, ids[m.ID], tt.gone)
			}
		}
	}
}
