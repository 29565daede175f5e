package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// kubeletFolder is where every kubelet keeps what no setting moves.
const kubeletFolder = "/var/lib/kubelet"

// WithOwnMounts is the command that runs args among mounts of its own, which end
// with it and its children, and where the kubelet's fixed folder is another one.
func WithOwnMounts(kubelet string, args ...string) []string {
	const script = `mount --bind "$0" ` + kubeletFolder + ` && exec "$@"`
	return append([]string{"unshare", "--mount", "--propagation", "slave", "sh", "-c", script, kubelet}, args...)
}

// AmongMountsOf is the command that runs args among the mounts of a process.
func AmongMountsOf(pid int, args ...string) []string {
	return append([]string{"nsenter", "--mount=/proc/" + strconv.Itoa(pid) + "/ns/mnt", "--"}, args...)
}

// UnmountBelow unmounts everything that is mounted inside a folder, the deepest
// first: pods' file systems and volumes that a kubelet left behind.
func UnmountBelow(dir string) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list the mounts: %w", err)
	}
	defer file.Close()
	var failures []error
	for _, point := range slices.Backward(mountsBelow(file, dir)) {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			failures = append(failures, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(failures...)
}

// mountsBelow reads mountinfo, whose lines come in the order of mounting.
func mountsBelow(mountinfo io.Reader, dir string) []string {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for scanner := bufio.NewScanner(mountinfo); scanner.Scan(); {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	return points
}
