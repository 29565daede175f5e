package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/commercestack/commercestack/hack/cluster/host"
)

// Loop is a Mounter of files: each disk is an ext4 image beside its folder. The
// kernel frees its loop device when it is unmounted.
type Loop struct{}

// Mount implements Mounter.
func (Loop) Mount(ctx context.Context, folder string, size int64) error {
	mounted, err := mountPoint(folder)
	if err != nil || mounted {
		return err
	}
	file, err := os.Create(image(folder))
	if err != nil {
		return fmt.Errorf("make the file of the disk: %w", err)
	}
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
		return fmt.Errorf("size the file of the disk: %w", err)
	}
	// No blocks are kept for root: who fills the disk is not root, and shall see all of it.
	for _, command := range [][]string{
		{"mkfs.ext4", "-q", "-F", "-m", "0", image(folder)},
		{"mount", "-o", "loop", image(folder), folder},
	} {
		if err := host.Run(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// Unmount implements Mounter.
func (Loop) Unmount(folder string) error {
	if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unmount %s: %w", folder, err)
	}
	if err := os.Remove(image(folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the file of the disk: %w", err)
	}
	return nil
}

func image(folder string) string { return folder + ".ext4" }

// mountPoint tells whether something is mounted on the folder: it is then on
// another device than the folder it is in.
func mountPoint(folder string) (bool, error) {
	var inside, outside syscall.Stat_t
	if err := errors.Join(syscall.Stat(folder, &inside), syscall.Stat(folder+"/..", &outside)); err != nil {
		return false, fmt.Errorf("look at %s: %w", folder, err)
	}
	return inside.Dev != outside.Dev, nil
}
