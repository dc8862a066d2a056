package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// A dead leader is replaced after the lease's duration at most. The others see a
// renewal only when they try for the lease, and then again let some time pass
// between its end and their next try, each up to 2.2 times the time between tries:
// so the Lease object's own duration is shorter. The leader gives up before that.
const (
	leaseDuration     = 15 * time.Second
	leaseObjectShare  = 10.0 / 15
	leaseRenewalShare = 7.0 / 15
	leaseRetryShare   = 1.0 / 15
)

// lease is where replicas agree on a leader.
type lease struct {
	namespace, name string
	duration        time.Duration
}

func (l lease) share(share float64) time.Duration {
	return time.Duration(float64(l.duration) * share)
}

// ErrLeadershipLost says that another replica may dispatch now. The process
// should end and start again.
var ErrLeadershipLost = errors.New("leadership lost: the lease was not renewed in time")

// lead runs work while this replica holds the lease, and gives the lease back
// only once work has returned. It returns nil after the context ended.
func lead(ctx context.Context, client kubernetes.Interface, lease lease, work func(ctx context.Context) error) error {
	identity, err := replicaIdentity()
	if err != nil {
		return err
	}
	// The lease outlives the context until work has come to its end.
	electionCtx, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	started, worked := make(chan struct{}), make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: lease.namespace, Name: lease.name},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		LeaseDuration:   lease.share(leaseObjectShare),
		RenewDeadline:   lease.share(leaseRenewalShare),
		RetryPeriod:     lease.share(leaseRetryShare),
		ReleaseOnCancel: true,
		Name:            lease.name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				close(started)
				workCtx, cancel := context.WithCancel(leading)
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				worked <- work(workCtx)
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("set up leader election: %w", err)
	}
	elected := make(chan struct{})
	go func() {
		defer close(elected)
		elector.Run(electionCtx)
	}()
	select {
	case err = <-worked:
	case <-elected:
		err = errors.Join(ErrLeadershipLost, <-worked)
	case <-ctx.Done():
		select {
		case <-started:
			err = <-worked
		default:
		}
	}
	release()
	<-elected
	return err
}

// replicaIdentity is unique for each process: a restarted container keeps its
// host name and must not take its predecessor's lease for its own.
func replicaIdentity() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this replica: %w", err)
	}
	return host + "_" + uuid.NewString(), nil
}
