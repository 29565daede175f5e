package catalog

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/commercestack/commercestack/hack/image/debian"
	"github.com/commercestack/commercestack/hack/image/oci"
)

// entrypoints are the scripts that images start with.
//
//go:embed files
var entrypoints embed.FS

// shell is what a script, `kubectl exec` and a probe of type exec expect to find.
var shell = []string{"base-files", "bash", "coreutils", "dash", "findutils", "grep", "gzip", "hostname", "libc-bin", "procps", "sed", "tar"}

// setup is what packages' scripts would do when they are installed. It is of no use
// without a package manager.
var setup = []string{
	"adduser", "debconf", "debianutils", "dpkg", "init-system-helpers", "libfile-find-rule-perl", "libgdbm-compat4", "libgdbm6",
	"libjson-perl", "libnumber-compare-perl", "libperl5.36", "libtext-glob-perl", "lsb-base", "mawk", "passwd", "perl", "perl-base",
	"perl-modules-5.36", "postgresql-client-common", "postgresql-common", "sensible-utils", "ssl-cert", "sysvinit-utils", "ucf", "usrmerge",
	"locales", "libc-l10n", "libsemanage2", "libsemanage-common", "libsepol2", "libdb5.3", "logsave", "sgml-base",
}

// distribution is an image made of Debian packages, a user and an entrypoint.
type distribution struct {
	set        debian.Set
	user       user
	entrypoint string
	extra      func(layer *oci.LayerWriter) error
}

func (d distribution) inputs(context.Context, *Catalog) ([]string, error) {
	script, err := d.script()
	if err != nil {
		return nil, err
	}
	// Not the packages' versions: asking for them takes seconds. Removing the
	// archive gets the newest ones.
	return []string{fmt.Sprintf("%+v", d.set), fmt.Sprintf("%+v", d.user), string(script), runtime.GOARCH}, nil
}

func (d distribution) script() ([]byte, error) {
	if d.entrypoint == "" {
		return nil, nil
	}
	script, err := entrypoints.ReadFile("files/" + d.entrypoint)
	if err != nil {
		return nil, fmt.Errorf("read an entrypoint: %w", err)
	}
	return script, nil
}

func (d distribution) layer(ctx context.Context, c *Catalog, layer *oci.LayerWriter) error {
	files, err := debian.Download(ctx, d.set, filepath.Join(c.Dir, "debian"))
	if err != nil {
		return err
	}
	if err := debian.Unpack(ctx, layer, d.set, files); err != nil {
		return err
	}
	root := user{name: "root", home: "/root"}
	users := []user{root}
	if d.user.name != "" {
		users = append(users, d.user)
	}
	var passwd, group strings.Builder
	for _, account := range users {
		passwd.WriteString(account.passwd())
		group.WriteString(account.group())
	}
	script, err := d.script()
	if err != nil {
		return err
	}
	if script != nil {
		if err := layer.File("/usr/local/bin/docker-entrypoint.sh", 0o755, 0, script); err != nil {
			return err
		}
	}
	if d.extra != nil {
		if err := d.extra(layer); err != nil {
			return err
		}
	}
	return errors.Join(
		layer.Dir("/tmp", 0o1777, 0),
		// C.UTF-8 sorts by code point and needs no locale package.
		layer.Symlink("/usr/bin/sh", "dash"),
		layer.File("/etc/passwd", 0o644, 0, []byte(passwd.String())),
		layer.File("/etc/group", 0o644, 0, []byte(group.String())),
		layer.File("/etc/nsswitch.conf", 0o644, 0, []byte("passwd: files\ngroup: files\nhosts: files dns\n")),
	)
}

// postgres stands in for the official image: the same variables, user and paths.
func postgres() recipe {
	server := distribution{
		set: debian.Set{
			Packages: append([]string{"postgresql-15", "libnss-wrapper", "openssl", "tzdata"}, shell...),
			Without:  append([]string{"libllvm14", "libz3-4"}, setup...),
			// Compiling queries is a matter of the missing LLVM; without this file the
			// server does not try.
			Omit: []string{"usr/lib/postgresql/15/lib/llvmjit.so", "usr/lib/postgresql/15/lib/bitcode/", "etc/init.d/", "etc/cron.d/"},
		},
		user:       user{name: "postgres", id: 999, home: "/var/lib/postgresql"},
		entrypoint: "postgres.sh",
		extra: func(layer *oci.LayerWriter) error {
			return errors.Join(
				layer.Dir("/var/lib/postgresql", 0o755, 999),
				layer.Dir("/var/lib/postgresql/data", 0o1777, 999),
				layer.Dir("/run/postgresql", 0o3777, 999),
				layer.Symlink("/var/run", "/run"),
				layer.Dir("/docker-entrypoint-initdb.d", 0o755, 0),
			)
		},
	}
	return recipe{
		ref: "postgres:15-bookworm", inputs: server.inputs, layer: server.layer,
		config: oci.Config{
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/usr/lib/postgresql/15/bin",
				"LANG=C.UTF-8", "PG_MAJOR=15", "PGDATA=/var/lib/postgresql/data",
			},
			User:         "999:999",
			Entrypoint:   []string{"docker-entrypoint.sh"},
			Cmd:          []string{"postgres"},
			ExposedPorts: map[string]struct{}{"5432/tcp": {}},
			// Fast shutdown: clients are cut off, transactions rolled back.
			StopSignal: "SIGINT",
		},
	}
}

// redis stands in for the official image.
func redis() recipe {
	server := distribution{
		set: debian.Set{
			Packages: append([]string{"redis-server"}, shell...),
			Without:  setup,
			Omit:     []string{"etc/init.d/", "etc/redis/"},
		},
		user:       user{name: "redis", id: 999, home: "/data"},
		entrypoint: "redis.sh",
		extra: func(layer *oci.LayerWriter) error {
			return errors.Join(layer.Dir("/data", 0o1777, 999))
		},
	}
	return recipe{
		ref: "redis:7-bookworm", inputs: server.inputs, layer: server.layer,
		config: oci.Config{
			Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"},
			User:         "999:999",
			WorkingDir:   "/data",
			Entrypoint:   []string{"docker-entrypoint.sh"},
			Cmd:          []string{"redis-server"},
			ExposedPorts: map[string]struct{}{"6379/tcp": {}},
		},
	}
}
