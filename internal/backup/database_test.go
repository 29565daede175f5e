package backup_test

import (
	"strings"
	"testing"

	"github.com/commercestack/commercestack/internal/backup"
)

func TestServiceFile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		url   string
		want  string
		roots bool
	}{
		"our own server": {
			"postgres://postgres:a%2Fb@shop-postgres:5432/commerce?sslmode=verify-full&sslrootcert=/etc/commerce/tls/ca.crt",
			"[commerce]\nhost=shop-postgres\nport=5432\nuser=postgres\npassword=a/b\ndbname=commerce\nsslmode=verify-full\nsslrootcert=/etc/commerce/tls/ca.crt\n", false,
		},
		"without a port, with a pool's settings": {
			"postgres://u:p@db/x?sslmode=require&pool_max_conns=4",
			"[commerce]\nhost=db\nport=5432\nuser=u\npassword=p\ndbname=x\nsslmode=require\n", false,
		},
		"two hosts": {
			"postgres://u:p@a:1,b:2/x?sslmode=disable", "[commerce]\nhost=a,b\nport=1,2\nuser=u\npassword=p\ndbname=x\nsslmode=disable\n", false,
		},
		"an authority of the system": {
			"postgres://u:p@db/x?sslmode=verify-full", "[commerce]\nhost=db\nport=5432\nuser=u\npassword=p\ndbname=x\nsslmode=verify-full\nsslrootcert=/work/roots\n", true,
		},
		"IPv6": {
			"postgres://u:p@[::1]/x", "[commerce]\nhost=::1\nport=5432\nuser=u\npassword=p\ndbname=x\n", false,
		},
	} {
		service, roots, err := backup.Database{URL: tt.url}.ServiceFile("/work/roots")
		if err != nil || string(service) != tt.want || roots != tt.roots {
			t.Errorf("%s: %v, roots %v\n%s", name, err, roots, service)
		}
	}
	for _, url := range []string{"", "postgres://u:hunter2@db:port/x", "postgres://u:hunter2%0Ahost=evil@db/x", "%"} {
		_, _, err := backup.Database{URL: url}.ServiceFile("")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
