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

// ServerBeside is Server for callers that need no certificate, with a second
// certificate: those who ask for a name that only the other store's certificate
// has are shown that one. So one listener has the certificate of a public name,
// which may be anybody's, and that of its name inside. other may be nil.
func (s *Store) ServerBeside(other *Store) *tls.Config {
	config := s.Server()
	if other == nil {
		return config
	}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		own := s.fresh()
		if own.names(hello.ServerName) {
			return own.server, nil
		}
		if second := other.fresh(); second.names(hello.ServerName) {
			shown := own.server.Clone()
			shown.Certificates = []tls.Certificate{*second.pair}
			return shown, nil
		}
		return own.server, nil
	}
	return config
}

// names says whether the certificate is for a host. No host is everybody's.
func (m *material) names(host string) bool {
	return m.pair != nil && m.pair.Leaf != nil && (host == "" || m.pair.Leaf.VerifyHostname(host) == nil)
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
