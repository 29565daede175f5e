package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Revision is what a stack is made of. The versions of secrets, the number of
// pods and everything else that changes without a rollout are not part of it.
type Revision struct {
	// Version of the platform.
	Version string `json:"version"`
	// Images by component.
	Images map[string]string `json:"images"`
	// Configs by component: a hash of its pod templates without the names of Secrets.
	Configs map[string]string `json:"configs"`
	// Migrations is the hash of what is migrated to.
	Migrations string `json:"migrations"`
}

// Hash names the revision. It is short enough for the names of objects and long
// enough that an approval of one is not an approval of another.
func (r Revision) Hash() string {
	// Maps are written with their keys sorted, and nothing here cannot be written.
	content, _ := json.Marshal(r)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}
