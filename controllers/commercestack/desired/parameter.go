package desired

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// parameter is one line of postgresql.conf.
type parameter struct{ name, value string }

// parameterName is what the server takes as a name, extensions' included.
var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

// reservedParameters cannot be set: the way in, and where things are.
var reservedParameters = []string{
	"config_file", "data_directory", "external_pid_file", "hba_file", "ident_file", "listen_addresses", "password_encryption", "port",
	"unix_socket_directories",
}

// reserved holds for parameters that the spec cannot set. The server does not tell capitals.
func reserved(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "ssl") || slices.Contains(reservedParameters, name)
}

// tunedParameters are proposed by the size of the server, and replaced by the spec's.
func tunedParameters(in Input) map[string]string {
	megabytes := postgresNeeds(in).memory() >> 20
	tuned := map[string]string{
		"max_connections":      strconv.Itoa(int(maxConnections(in))),
		"shared_buffers":       strconv.FormatInt(max(megabytes/4, 16), 10) + "MB",
		"effective_cache_size": strconv.FormatInt(max(megabytes*3/4, 32), 10) + "MB",
	}
	maps.Copy(tuned, in.Stack.Spec.Postgres.Parameters)
	return tuned
}

// postgresParameters are all parameters of the server, sorted by name. Given on
// its command line they are above whatever stands in a file.
func postgresParameters(in Input) []parameter {
	all := tunedParameters(in)
	maps.Copy(all, map[string]string{
		"hba_file":                 postgresConfig + "/" + hbaFile,
		"listen_addresses":         "*",
		"password_encryption":      "scram-sha-256",
		"ssl":                      "on",
		"ssl_cert_file":            TLSFolder + "/tls.crt",
		"ssl_key_file":             TLSFolder + "/tls.key",
		"ssl_min_protocol_version": "TLSv1.3",
		"unix_socket_directories":  postgresSockets,
	})
	list := make([]parameter, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, parameter{name, all[name]})
	}
	return list
}

// maxConnections of the server, as far as is known.
func maxConnections(in Input) int32 {
	if given, err := strconv.ParseInt(in.Stack.Spec.Postgres.Parameters["max_connections"], 10, 32); err == nil {
		return int32(given)
	}
	switch {
	case development(in):
		return defaultConnectionsDevelopment
	case in.RenderRevision < canariesRevision || in.PostgresMode == v1alpha1.DataExternal:
		return defaultConnectionsUncounted
	default:
		return defaultConnections
	}
}
