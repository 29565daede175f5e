package certificate

import "crypto/tls"

// protocols a server offers, in its order of preference.
var protocols = []string{"h2", "http/1.1"}

// Server returns the configuration of a listener: TLS 1.3 and nothing older.
// With authorities among the files every caller must show a certificate of
// one of them. The store must have a certificate.
func (s *Store) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.fresh().server, nil },
	}
}

// serverConfig is what one connection is served with. Without tickets no
// session outlives the trust it began with.
func (m *material) serverConfig() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: protocols, SessionTicketsDisabled: true}
	if m.pair != nil {
		config.Certificates = []tls.Certificate{*m.pair}
	}
	if m.pool != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, m.pool
	}
	return config
}
