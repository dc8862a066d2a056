package webhook

import (
	"crypto/tls"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// certificate is the serving certificate, read again when its files change.
type certificate struct {
	*certwatcher.CertWatcher
}

func loadCertificate(certFile, keyFile string) (certificate, error) {
	watcher, err := certwatcher.New(certFile, keyFile)
	if err != nil {
		return certificate{}, fmt.Errorf("load serving certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return certificate{watcher}, nil
}

// notAfter returns when the certificate expires.
func (c certificate) notAfter() time.Time {
	current, err := c.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || current == nil || current.Leaf == nil {
		return time.Time{}
	}
	return current.Leaf.NotAfter
}

// check returns an error while the certificate has expired: the API server
// would not talk to us, and another replica may have a newer one.
func (c certificate) check(now time.Time) error {
	if expiry := c.notAfter(); !now.Before(expiry) {
		return fmt.Errorf("the serving certificate expired at %s", expiry.Format(time.RFC3339))
	}
	return nil
}
