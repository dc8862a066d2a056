package stack

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"k8s.io/client-go/util/cert"
)

// Certificate is a serving certificate with its key and the authority that the
// API server should trust, all PEM.
type Certificate struct {
	Chain, Key, Authority []byte
}

// NewCertificate makes one for a Service, valid for a year.
func NewCertificate(service, namespace string) (Certificate, error) {
	host := fmt.Sprintf("%s.%s.svc", service, namespace)
	chain, key, err := cert.GenerateSelfSignedCertKey(host, nil, []string{host, host + ".cluster.local"})
	if err != nil {
		return Certificate{}, fmt.Errorf("make a certificate for %s: %w", host, err)
	}
	// The chain is the leaf followed by the authority that signed it.
	_, rest := pem.Decode(chain)
	authority, _ := pem.Decode(rest)
	if authority == nil {
		return Certificate{}, errors.New("make a certificate: the chain holds no authority")
	}
	return Certificate{Chain: chain, Key: key, Authority: bytes.TrimSpace(pem.EncodeToMemory(authority))}, nil
}
