package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of all certificates: the cluster is for tests and is made anew often.
const lifetime = 365 * 24 * time.Hour

// authority signs certificates. There are three, so that a certificate the
// cluster signs for a user neither opens etcd nor passes for the aggregator.
type authority struct {
	name        string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// identity is what a certificate is issued for.
type identity struct {
	name          string // file name without ending
	commonName    string
	organization  string // the group, for Kubernetes
	names         []string
	addresses     []string
	server        bool // as well as client
	authorityName string
}

const (
	clusterAuthority    = "ca"
	etcdAuthority       = "etcd-ca"
	frontProxyAuthority = "front-proxy-ca"
	masters             = "system:masters"
)

var identities = []identity{
	{name: "etcd", commonName: "etcd", addresses: []string{loopback}, server: true, authorityName: etcdAuthority},
	{name: "etcd-client", commonName: "kube-apiserver", authorityName: etcdAuthority},
	{name: "front-proxy", commonName: "front-proxy", authorityName: frontProxyAuthority},
	{name: "apiserver", commonName: "kube-apiserver", server: true, authorityName: clusterAuthority,
		addresses: []string{NodeIP, serviceIP, loopback},
		names:     []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}},
	{name: "apiserver-kubelet", commonName: "kube-apiserver-kubelet", organization: masters, authorityName: clusterAuthority},
	{name: "kubelet", commonName: "kubelet", addresses: []string{NodeIP}, names: []string{NodeName}, server: true, authorityName: clusterAuthority},
	{name: "user-admin", commonName: "admin", organization: masters, authorityName: clusterAuthority},
	{name: "user-controller-manager", commonName: "system:kube-controller-manager", authorityName: clusterAuthority},
	{name: "user-scheduler", commonName: "system:kube-scheduler", authorityName: clusterAuthority},
	{name: "user-kubelet", commonName: "system:node:" + NodeName, organization: "system:nodes", authorityName: clusterAuthority},
	{name: "user-proxy", commonName: "system:kube-proxy", authorityName: clusterAuthority},
	{name: "user-cert-manager", commonName: "cert-manager", organization: masters, authorityName: clusterAuthority},
}

func certificateFile(name string) string { return filepath.Join(pkiDir, name+".crt") }
func keyFile(name string) string         { return filepath.Join(pkiDir, name+".key") }

// writePKI makes all keys and certificates under pkiDir.
func writePKI(now time.Time) error {
	authorities := map[string]authority{}
	for _, name := range []string{clusterAuthority, etcdAuthority, frontProxyAuthority} {
		a, err := newAuthority(name, now)
		if err != nil {
			return err
		}
		authorities[name] = a
		if err := writePair(name, a.certificate.Raw, a.key); err != nil {
			return err
		}
	}
	for _, id := range identities {
		certificate, key, err := authorities[id.authorityName].issue(id, now)
		if err != nil {
			return err
		}
		if err := writePair(id.name, certificate, key); err != nil {
			return err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service accounts' key: %w", err)
	}
	return writeKey("service-accounts", key)
}

func newAuthority(name string, now time.Time) (authority, error) {
	template := certificateTemplate(name, now)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, key, err := sign(template, template, nil)
	if err != nil {
		return authority{}, fmt.Errorf("make authority %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, fmt.Errorf("make authority %s: %w", name, err)
	}
	return authority{name: name, certificate: certificate, key: key}, nil
}

// issue returns a certificate in DER and its new key.
func (a authority) issue(id identity, now time.Time) ([]byte, *ecdsa.PrivateKey, error) {
	template := certificateTemplate(id.commonName, now)
	if id.organization != "" {
		template.Subject.Organization = []string{id.organization}
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if id.server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	template.DNSNames = id.names
	for _, address := range id.addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	der, key, err := sign(template, a.certificate, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate %s: %w", id.name, err)
	}
	return der, key, nil
}

func certificateTemplate(commonName string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: commonName},
		NotBefore: now.Add(-time.Hour), // clocks are set back
		NotAfter:  now.Add(lifetime),
	}
}

// sign makes a key and has it certified by the parent, or by itself without one.
func sign(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("choose a serial number: %w", err)
	}
	template.SerialNumber = serial
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate a key: %w", err)
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, key, nil
}

func writePair(name string, certificate []byte, key *ecdsa.PrivateKey) error {
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	if err := os.WriteFile(certificateFile(name), content, 0o600); err != nil {
		return fmt.Errorf("write certificate %s: %w", name, err)
	}
	return writeKey(name, key)
}

func writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", name, err)
	}
	content := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(keyFile(name), content, 0o600); err != nil {
		return fmt.Errorf("write key %s: %w", name, err)
	}
	return nil
}
