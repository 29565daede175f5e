// Package certificate keeps a certificate and the authorities that are trusted
// as the files on disk say now. Whoever issues certificates replaces the files;
// the next connection uses what they say, and connections that exist go on.
//
// Processes of a stack know each other by these certificates: every one has a
// certificate of the stack's authority, shows it when it calls and asks for it
// when it is called. A bundle of two authorities lets the authority itself be
// replaced.
package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// recheck is how long files are believed before they are looked at again.
const recheck = 2 * time.Second

// Files are paths of PEM files.
type Files struct {
	// Cert is a certificate, followed by those that lead to its authority.
	Cert string
	// Key is the certificate's private key.
	Key string
	// CA holds the authorities that are trusted.
	CA string
}

// Empty holds when no file is named.
func (f Files) Empty() bool { return f == Files{} }

// validate refuses half a pair, which could only be a mistake.
func (f Files) validate() error {
	if (f.Cert == "") != (f.Key == "") {
		return errors.New("a certificate needs both its file and the file of its key")
	}
	if f.Cert == "" && f.CA == "" {
		return errors.New("neither a certificate nor an authority is named")
	}
	return nil
}

// Store is what the files said when they last made sense. It is safe for
// concurrent use.
type Store struct {
	files  Files
	logger *slog.Logger
	now    func() time.Time

	current atomic.Pointer[material]
	next    atomic.Int64 // when the files are looked at again, in Unix nanoseconds
	reading sync.Mutex
}

// material is the content of the files and what it means.
type material struct {
	cert, key, ca []byte

	pair *tls.Certificate
	pool *x509.CertPool
	// server and client are made once, since a tls.Config must not change in use.
	server, client *tls.Config
}

// Open reads the files. It fails unless they make sense; once it succeeded,
// files that stop making sense are logged and the last good ones stay in use.
func Open(files Files, logger *slog.Logger) (*Store, error) {
	if err := files.validate(); err != nil {
		return nil, err
	}
	if logger == nil {
		logger = slog.Default()
	}
	s := &Store{files: files, logger: logger, now: time.Now}
	read, err := files.read()
	if err != nil {
		return nil, err
	}
	if err := s.adopt(read); err != nil {
		return nil, err
	}
	return s, nil
}

// read returns the content of the files without looking at it.
func (f Files) read() (*material, error) {
	m := &material{}
	for path, to := range map[string]*[]byte{f.Cert: &m.cert, f.Key: &m.key, f.CA: &m.ca} {
		if path == "" {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err // it names the file
		}
		*to = content
	}
	return m, nil
}

func (m *material) equal(other *material) bool {
	return bytes.Equal(m.cert, other.cert) && bytes.Equal(m.key, other.key) && bytes.Equal(m.ca, other.ca)
}

// adopt gives the content its meaning and puts it into use. Errors name files
// and never what is in them.
func (s *Store) adopt(m *material) error {
	if s.files.Cert != "" {
		pair, err := tls.X509KeyPair(m.cert, m.key)
		if err != nil {
			return fmt.Errorf("%s and %s are no certificate with its key: %w", s.files.Cert, s.files.Key, err)
		}
		m.pair = &pair
	}
	if s.files.CA != "" {
		m.pool = x509.NewCertPool()
		if !m.pool.AppendCertsFromPEM(m.ca) {
			return fmt.Errorf("%s holds no certificate of an authority", s.files.CA)
		}
	}
	m.server, m.client = m.serverConfig(), m.clientConfig()
	s.current.Store(m)
	s.next.Store(s.now().Add(recheck).UnixNano())
	return nil
}

// fresh returns what the files say, at most recheck old.
func (s *Store) fresh() *material {
	if s.now().UnixNano() < s.next.Load() || !s.reading.TryLock() {
		return s.current.Load()
	}
	defer s.reading.Unlock()
	s.next.Store(s.now().Add(recheck).UnixNano())
	read, err := s.files.read()
	if err == nil && read.equal(s.current.Load()) {
		return s.current.Load()
	}
	if err == nil {
		err = s.adopt(read)
	}
	if err != nil {
		// Files are replaced one after the other: the next look finds them whole.
		s.logger.Warn("certificates cannot be read again; the last ones stay in use", slog.Any("cause", err))
	} else {
		s.logger.Info("certificates were read again", slog.String("file", s.files.Cert), slog.Time("valid_until", s.NotAfter()))
	}
	return s.current.Load()
}

// NotAfter is when the certificate in use ends; the zero time without one.
func (s *Store) NotAfter() time.Time {
	if m := s.current.Load(); m.pair != nil && m.pair.Leaf != nil {
		return m.pair.Leaf.NotAfter
	}
	return time.Time{}
}
