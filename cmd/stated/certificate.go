package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync/atomic"

	"github.com/stated/stated/config"
)

// certificate is what the TCP listeners show to clients. It can be replaced while they serve.
type certificate struct {
	now atomic.Pointer[tls.Certificate]
}

// newCertificate reads the certificate of the configuration; it gives nil when there is none.
func newCertificate(c config.TLS) (*certificate, error) {
	if c.Cert == "" {
		return nil, nil
	}
	pair, err := readPair(c)
	if err != nil {
		return nil, err
	}
	cert := &certificate{}
	cert.now.Store(pair)
	return cert, nil
}

func readPair(c config.TLS) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, usagef("server.tls: %w", err)
	}
	return &pair, nil
}

// serverConfig gives what a listener needs. Versions below 1.2 are broken.
func (c *certificate) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
	}
}

// clientTLS gives what a command needs to connect: the authorities of the system, or those in a file.
func clientTLS(authorities string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if authorities == "" {
		return c, nil
	}
	data, err := os.ReadFile(authorities)
	if err != nil {
		return nil, usagef("--tls-ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(data) {
		return nil, usagef("--tls-ca: %s holds no certificate in PEM", authorities)
	}
	return c, nil
}
