package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// startCertManager defines cert-manager's resources and starts its controllers as
// a process of the machine.
func (s *starter) startCertManager(ctx context.Context) error {
	directory := s.options.CustomResources
	if directory == "" {
		var err error
		if directory, err = moduleCustomResources(ctx, s.options.Checkout); err != nil {
			return err
		}
	}
	definitions, err := readDefinitions(directory)
	if err != nil {
		return err
	}
	if err := makeCertManagerNamespace(ctx); err != nil {
		return err
	}
	config, err := (&Cluster{Kubeconfig: Kubeconfig}).Config()
	if err != nil {
		return err
	}
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for cert-manager's resources: %w", err)
	}
	for _, definition := range definitions {
		if err := define(ctx, client.CustomResourceDefinitions(), definition); err != nil {
			return err
		}
	}
	err = wait(ctx, time.Minute, "cert-manager's resources", s.daemons, func(ctx context.Context) error {
		return established(ctx, client.CustomResourceDefinitions(), definitions)
	})
	if err != nil {
		return err
	}
	// It says that it is ready by making this file.
	ready := filepath.Join(RunDir, "cert-manager-ready")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start cert-manager: %w", err)
	}
	err = s.start(daemon{
		name: certManagerDaemon, executable: s.program("cert-manager"),
		arguments: []string{"--kubeconfig", userKubeconfig("cert-manager"), "--ready-file", ready},
	})
	if err != nil {
		return err
	}
	return wait(ctx, time.Minute, "cert-manager", s.daemons, func(context.Context) error {
		_, err := os.Stat(ready)
		return err
	})
}

// makeCertManagerNamespace makes the one where a ClusterIssuer's Secrets are looked
// for; an installation of cert-manager has it.
func makeCertManagerNamespace(ctx context.Context) error {
	client, err := administrator()
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: certManagerDaemon}}
	_, err = client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make cert-manager's namespace: %w", err)
	}
	return nil
}
