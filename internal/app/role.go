package app

import "fmt"

// role is what a process does for its components, so that what people wait for
// and what nobody waits for can be scaled apart.
type role string

const (
	// roleAll serves and works.
	roleAll role = "all" //nolint:unused // the default, which settings spell out
	// roleAPI serves and leaves queues alone; it fills them all the same.
	roleAPI role = "api"
	// roleWorker works on queues and has no address but that of its metrics.
	roleWorker role = "worker"
)

// serves holds for processes that answer calls.
func (r role) serves() bool { return r != roleWorker }

// works holds for processes that run jobs, deliver events and relay outboxes.
func (r role) works() bool { return r != roleAPI }

// checkWork refuses a worker that would have nothing to do, which is a mistake
// of whoever deployed it.
func checkWork(r role, chosen []registration, withGateway bool) error {
	if r != roleWorker {
		return nil
	}
	if withGateway {
		return fmt.Errorf("component %s has no queues: run it in the role %s", gatewayName, roleAPI)
	}
	for _, entry := range chosen {
		if entry.migrations == nil {
			return fmt.Errorf("component %s has no queues: run it in the role %s", entry.name, roleAPI)
		}
	}
	return nil
}
