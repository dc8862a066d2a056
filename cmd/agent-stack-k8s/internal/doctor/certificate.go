package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certmanagermetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

// expiresSoon is how long before its end a certificate is worth a word: whoever
// renews it by itself has done so long before.
const expiresSoon = 14 * 24 * time.Hour

// checkCertificate holds the serving certificate against the webhook's CA
// bundle, and looks at who renews it.
func (d *doctor) checkCertificate(ctx context.Context) {
	webhook, mutator := d.found.Webhook, d.found.Mutator
	if webhook == nil {
		return
	}
	bundle := d.at("ca-bundle", "MutatingWebhookConfiguration "+d.found.WebhookName)
	roots := x509.NewCertPool()
	hasRoots := roots.AppendCertsFromPEM(webhook.ClientConfig.CABundle)
	if !hasRoots {
		bundle.failf("With cert-manager: see that its cainjector runs (kubectl -n cert-manager get pods). With a certificate of your own: put the authority's PEM, in base64, into caBundle.",
			"its caBundle is empty or no certificate: the API server trusts no mutator and refuses every labelled pod")
	}
	if mutator == nil {
		return
	}
	if mutator.TLSSecret == "" {
		d.at("certificate", "Deployment "+d.mutatorName()).unknownf("Check the certificate where it comes from.", "the serving certificate is mounted from no Secret")
		return
	}
	d.checkIssuer(ctx, mutator.TLSSecret)
	namespace := mutator.Deployment.Namespace
	place := d.at("certificate", "Secret "+namespace+"/"+mutator.TLSSecret)
	var secret corev1.Secret
	switch err := d.client.Get(ctx, &secret, cluster.Core(namespace, "secrets", mutator.TLSSecret)); {
	case installation.IsNotFound(err):
		place.failf(fmt.Sprintf("With cert-manager: kubectl -n %s describe certificate. With your own: kubectl -n %s create secret tls %s --cert=tls.crt --key=tls.key", namespace, namespace, mutator.TLSSecret),
			"is not there, so the mutator cannot start")
		return
	case err != nil:
		place.unseen(err)
		return
	}
	d.checkLeaf(&secret, place, bundle, roots, hasRoots)
}

func (d *doctor) checkLeaf(secret *corev1.Secret, place, bundle place, roots *x509.CertPool, hasRoots bool) {
	renew := fmt.Sprintf("With cert-manager: kubectl -n %s delete secret %s, and it makes another. With your own: make a new one and replace the Secret.", secret.Namespace, secret.Name)
	if _, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
		place.failf(renew, "holds no certificate with its key: %v", err)
		return
	}
	leaf, intermediates := certificates(secret.Data[corev1.TLSCertKey])
	now := terminal.Now()
	left := leaf.NotAfter.Sub(now)
	switch {
	case left <= 0:
		place.failf(renew, "the certificate expired %s", terminal.Since(leaf.NotAfter))
	case left < expiresSoon:
		place.warnf(renew, "the certificate expires in %s, and nobody has renewed it yet", terminal.Duration(left))
	default:
		place.okf("the certificate is valid for %s", terminal.Duration(left))
	}
	service := d.found.Webhook.ClientConfig.Service
	if !hasRoots || service == nil {
		return
	}
	host := service.Name + "." + service.Namespace + ".svc"
	if err := leaf.VerifyHostname(host); err != nil {
		place.failf(renew, "the certificate is not for %s, where the API server calls: %v", host, err)
		return
	}
	at := now
	if left <= 0 {
		// What is expired is told already; whether it was the right one is another
		// question.
		at = leaf.NotAfter.Add(-time.Second)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		bundle.failf(
			"With cert-manager: kubectl annotate --overwrite mutatingwebhookconfiguration "+d.found.WebhookName+" cert-manager.io/inject-ca-from="+secret.Namespace+"/CERTIFICATE. With your own: put the authority of the Secret's certificate into caBundle.",
			"its caBundle has not signed the certificate in %s/%s, so the API server refuses every labelled pod: %v", secret.Namespace, secret.Name, err)
		return
	}
	bundle.okf("its caBundle has signed the serving certificate")
}

// certificates returns the first certificate of a PEM file, and the others.
func certificates(text []byte) (*x509.Certificate, *x509.CertPool) {
	var leaf *x509.Certificate
	others := x509.NewCertPool()
	for block, rest := pem.Decode(bytes.TrimSpace(text)); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
		case leaf == nil:
			leaf = certificate
		default:
			others.AddCert(certificate)
		}
	}
	return leaf, others
}

// checkIssuer looks at cert-manager's objects for a Secret, if there are any.
func (d *doctor) checkIssuer(ctx context.Context, secret string) {
	namespace := d.found.Mutator.Deployment.Namespace
	var list certmanagerv1.CertificateList
	err := d.client.Get(ctx, &list, cluster.Group("cert-manager.io/v1", namespace, "certificates"))
	if installation.IsNotFound(err) {
		return
	}
	if err != nil {
		d.at("certificate", "Certificate").unseen(err)
		return
	}
	index := slices.IndexFunc(list.Items, func(c certmanagerv1.Certificate) bool { return c.Spec.SecretName == secret })
	if index < 0 {
		return
	}
	certificate := &list.Items[index]
	place := d.at("certificate", "Certificate "+namespace+"/"+certificate.Name)
	describe := fmt.Sprintf("kubectl -n %s describe certificate %s, and see cert-manager's pods: kubectl -n cert-manager get pods", namespace, certificate.Name)
	if reason := notReady(certificate.Status.Conditions); reason != "" {
		place.failf(describe, "cert-manager has not made the certificate: %s", reason)
	} else {
		place.okf("is ready")
	}
	if renewal := certificate.Status.RenewalTime; renewal != nil && terminal.Now().Sub(renewal.Time) > time.Hour {
		place.warnf(describe, "should have been renewed %s", terminal.Since(renewal.Time))
	}
	reference := certificate.Spec.IssuerRef
	if reference.Group != "" && reference.Group != "cert-manager.io" {
		return
	}
	d.checkIssuerReady(ctx, namespace, reference.Kind, reference.Name)
}

func (d *doctor) checkIssuerReady(ctx context.Context, namespace, kind, name string) {
	path, where := cluster.Group("cert-manager.io/v1", namespace, "issuers", name), "Issuer "+namespace+"/"+name
	if kind == certmanagerv1.ClusterIssuerKind {
		path, where = cluster.Group("cert-manager.io/v1", "", "clusterissuers", name), "ClusterIssuer "+name
	}
	place := d.at("certificate", where)
	// Both kinds have the same status.
	var issuer certmanagerv1.Issuer
	err := d.client.Get(ctx, &issuer, path)
	mend := "kubectl describe " + strings.ToLower(strings.Fields(where)[0]) + " -n " + namespace + " " + name
	switch {
	case installation.IsNotFound(err):
		place.failf("Create it, or correct the Certificate's issuerRef.", "is not there, so the certificate cannot be renewed")
	case err != nil:
		place.unseen(err)
	default:
		for _, condition := range issuer.Status.Conditions {
			if condition.Type == certmanagerv1.IssuerConditionReady && condition.Status == certmanagermetav1.ConditionTrue {
				place.okf("is ready")
				return
			}
		}
		place.failf(mend, "is not ready, so the certificate cannot be renewed")
	}
}

func notReady(conditions []certmanagerv1.CertificateCondition) string {
	for _, condition := range conditions {
		if condition.Type != certmanagerv1.CertificateConditionReady {
			continue
		}
		if condition.Status == certmanagermetav1.ConditionTrue {
			return ""
		}
		return condition.Reason + ": " + condition.Message
	}
	return "it has no condition Ready"
}
