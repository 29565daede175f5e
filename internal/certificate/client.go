package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	keepAlive   = 15 * time.Second
)

// Dial is the type of functions that open connections for HTTP transports and
// other clients.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer returns a function that opens TLS connections: the peer must have a
// certificate of a trusted authority for the host of the address, and is shown
// ours. protocols are what is asked for by ALPN.
func (s *Store) Dialer(protocols ...string) Dial {
	return s.dialer(protocols, func(m *material) *x509.CertPool { return m.pool })
}

// OutsideDialer is Dialer for peers that need not belong to the stack: it also
// trusts the authorities of the system.
func (s *Store) OutsideDialer(protocols ...string) Dial {
	return s.dialer(protocols, func(m *material) *x509.CertPool {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pool.AppendCertsFromPEM(m.ca)
		return pool
	})
}

func (s *Store) dialer(protocols []string, trusted func(*material) *x509.CertPool) Dial {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		m := s.fresh()
		config := m.client.Clone()
		config.ServerName, config.NextProtos, config.RootCAs = host, protocols, trusted(m)
		plain, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(plain, config)
		handshake, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		if err := secure.HandshakeContext(handshake); err != nil {
			_ = plain.Close()
			return nil, fmt.Errorf("TLS with %s: %w", address, err)
		}
		return secure, nil
	}
}

func (m *material) clientConfig() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: m.pool}
	if m.pair != nil {
		// Shown whatever authorities the peer names, so that a refusal comes from the peer, which logs it.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.pair, nil }
	}
	return config
}
