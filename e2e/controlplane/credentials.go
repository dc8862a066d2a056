package controlplane

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// ContextName is the context of all kubeconfig files.
const ContextName = "controlplane"

// user of the API server that is no service account.
type user struct{ name, groups string }

const (
	administrator = "admin"
	schedulerUser = "system:kube-scheduler"
)

var users = []user{{administrator, "system:masters"}, {schedulerUser, ""}}

// tokenLife of service accounts: longer than anything that runs here.
const tokenLife = 24 * time.Hour

// authorityFile is the certificate that the API server makes for itself.
func (p *Plane) authorityFile() string {
	return filepath.Join(p.Directory, "pki", "apiserver.crt")
}

func (p *Plane) accountKeyFile() string { return filepath.Join(p.Directory, "pki", "accounts.key") }
func (p *Plane) tokenFile() string      { return filepath.Join(p.Directory, "pki", "tokens.csv") }

// writeCredentials makes a token for each user and the key that signs those of
// service accounts.
func (p *Plane) writeCredentials(context.Context) error {
	if err := os.Mkdir(filepath.Join(p.Directory, "pki"), 0o700); err != nil {
		return fmt.Errorf("make a directory for keys: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service accounts' key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("make the service accounts' key: %w", err)
	}
	if err := os.WriteFile(p.accountKeyFile(), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("write the service accounts' key: %w", err)
	}
	var lines strings.Builder
	for _, user := range users {
		secret := make([]byte, 16)
		_, _ = rand.Read(secret) // never fails
		token := hex.EncodeToString(secret)
		fmt.Fprintf(&lines, "%s,%s,%s,%q\n", token, user.name, user.name, user.groups)
		path, err := p.writeKubeconfig(user.name, token)
		if err != nil {
			return err
		}
		if user.name == administrator {
			p.Kubeconfig = path
		}
	}
	if err := os.WriteFile(p.tokenFile(), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	return nil
}

func (p *Plane) kubeconfigFile(user string) string {
	return filepath.Join(p.Directory, "pki", strings.ReplaceAll(user, ":", "-")+".kubeconfig")
}

func (p *Plane) writeKubeconfig(user, token string) (string, error) {
	config := api.NewConfig()
	config.Clusters[ContextName] = &api.Cluster{Server: p.server, CertificateAuthority: p.authorityFile()}
	config.AuthInfos[user] = &api.AuthInfo{Token: token}
	config.Contexts[ContextName] = &api.Context{Cluster: ContextName, AuthInfo: user}
	config.CurrentContext = ContextName
	path := p.kubeconfigFile(user)
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("write the kubeconfig of %s: %w", user, err)
	}
	return path, nil
}

// ServiceAccountKubeconfig returns the path of a kubeconfig for a service account
// of the system namespace: the product's programs have the rights that its
// manifests give them, and no others.
func (p *Plane) ServiceAccountKubeconfig(ctx context.Context, name string) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLife.Seconds()))}}
	answer, err := p.client.CoreV1().ServiceAccounts(SystemNamespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("make a token for %s: %w", name, err)
	}
	return p.writeKubeconfig(name, answer.Status.Token)
}
