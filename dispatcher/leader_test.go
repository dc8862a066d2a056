package dispatcher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// holder returns who holds the test's lease.
func holder(t *testing.T, client *fake.Clientset) string {
	t.Helper()
	lease, err := client.CoordinationV1().Leases("ns").Get(t.Context(), "lease", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		t.Fatalf("read lease: %v", err)
	}
	return *lease.Spec.HolderIdentity
}

// The lease must be held until the last work in hand is done, or two replicas
// work at once.
func TestLeadHoldsTheLeaseUntilWorkIsDone(t *testing.T) {
	client := fake.NewClientset()
	ctx, cancel := context.WithCancel(t.Context())
	stopped, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- lead(ctx, client, lease{"ns", "lease", leaseDuration}, func(ctx context.Context) error {
			cancel()
			<-ctx.Done()
			close(stopped)
			<-finish
			return nil
		})
	}()
	<-stopped
	if holder(t, client) == "" {
		t.Error("the lease was given back while work was in hand")
	}
	close(finish)
	if err := <-done; err != nil {
		t.Errorf("lead returned %v", err)
	}
	if got := holder(t, client); got != "" {
		t.Errorf("the lease is still held by %s", got)
	}
}

func TestLeadReturnsTheErrorOfWork(t *testing.T) {
	want := errors.New("broken")
	err := lead(t.Context(), fake.NewClientset(), lease{"ns", "lease", leaseDuration}, func(context.Context) error { return want })
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

func TestLeadStandsBy(t *testing.T) {
	client := fake.NewClientset()
	leading := make(chan struct{})
	first, stopFirst := context.WithCancel(t.Context())
	firstDone := make(chan error, 1)
	go func() {
		firstDone <- lead(first, client, lease{"ns", "lease", leaseDuration}, func(ctx context.Context) error { close(leading); <-ctx.Done(); return nil })
	}()
	<-leading
	standby, stopStandby := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stopStandby()
	err := lead(standby, client, lease{"ns", "lease", leaseDuration}, func(context.Context) error { t.Error("two leaders"); return nil })
	if err != nil {
		t.Errorf("a replica that stood by returned %v", err)
	}
	stopFirst()
	if err := <-firstDone; err != nil {
		t.Error(err)
	}
}

// A replica takes over within the lease's duration of the last that was heard of a
// leader that died.
func TestLeadTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases := fake.NewClientset()
		renew := func() {
			now := metav1.NowMicro()
			object := &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "lease"},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("dead soon"), RenewTime: &now, AcquireTime: &now, LeaseDurationSeconds: new(int32(leaseObjectShare * leaseDuration.Seconds()))},
			}
			client := leases.CoordinationV1().Leases("ns")
			_ = client.Delete(t.Context(), "lease", metav1.DeleteOptions{})
			if _, err := client.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		renew()
		ctx, cancel := context.WithCancel(t.Context())
		leads, done := make(chan time.Time, 1), make(chan error, 1)
		go func() {
			done <- lead(ctx, leases, lease{"ns", "lease", leaseDuration}, func(context.Context) error { leads <- time.Now(); return nil })
		}()
		for range 20 {
			time.Sleep(time.Second)
			renew()
		}
		died := time.Now()
		if took := (<-leads).Sub(died); took <= 0 || took > leaseDuration {
			t.Errorf("another leader came %s after the last renewal, want %s at most", took, leaseDuration)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
