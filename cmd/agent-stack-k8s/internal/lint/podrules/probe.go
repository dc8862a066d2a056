package podrules

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// handler is what probes and hooks do.
type handler struct {
	exec  *corev1.ExecAction
	http  *corev1.HTTPGetAction
	tcp   *corev1.TCPSocketAction
	grpc  *corev1.GRPCAction
	sleep *corev1.SleepAction
}

func (c *checker) handler(h handler, path *field.Path) {
	count := 0
	if h.exec != nil {
		count++
		if len(h.exec.Command) == 0 {
			c.add(field.Required(path.Child("exec", "command"), "give the command to run"))
		}
	}
	if h.http != nil {
		count++
		c.port(h.http.Port, path.Child("httpGet", "port"))
		oneOf(c, path.Child("httpGet", "scheme"), h.http.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)
		for i, header := range h.http.HTTPHeaders {
			c.problems(path.Child("httpGet", "httpHeaders").Index(i).Child("name"), header.Name, validation.IsHTTPHeaderName(header.Name))
		}
	}
	if h.tcp != nil {
		count++
		c.port(h.tcp.Port, path.Child("tcpSocket", "port"))
	}
	if h.grpc != nil {
		count++
		c.problems(path.Child("grpc", "port"), h.grpc.Port, validation.IsValidPortNum(int(h.grpc.Port)))
	}
	if h.sleep != nil {
		count++
		if grace := c.spec.TerminationGracePeriodSeconds; grace != nil && (h.sleep.Seconds < 0 || h.sleep.Seconds > max(*grace, 1)) {
			c.invalid(path.Child("sleep", "seconds"), h.sleep.Seconds, "want a number of seconds from 0 to terminationGracePeriodSeconds")
		}
	}
	switch {
	case count == 0:
		c.add(field.Required(path, "say what to do: one of exec, httpGet, tcpSocket and grpc"))
	case count > 1:
		c.add(field.Forbidden(path, "it does one thing; keep one of exec, httpGet, tcpSocket, grpc and sleep"))
	}
}

func (c *checker) port(port intstr.IntOrString, path *field.Path) {
	if port.Type == intstr.String {
		c.problems(path, port.StrVal, validation.IsValidPortName(port.StrVal))

		return
	}
	c.problems(path, port.IntVal, validation.IsValidPortNum(int(port.IntVal)))
}

// probe checks a probe. The API server sets what is 0 to the default.
func (c *checker) probe(probe *corev1.Probe, path *field.Path, ends bool) {
	if probe == nil {
		return
	}
	c.handler(handler{exec: probe.Exec, http: probe.HTTPGet, tcp: probe.TCPSocket, grpc: probe.GRPC}, path)
	for _, one := range []struct {
		name  string
		value int32
	}{
		{"initialDelaySeconds", probe.InitialDelaySeconds},
		{"timeoutSeconds", probe.TimeoutSeconds},
		{"periodSeconds", probe.PeriodSeconds},
		{"successThreshold", probe.SuccessThreshold},
		{"failureThreshold", probe.FailureThreshold},
	} {
		if one.value < 0 {
			c.invalid(path.Child(one.name), one.value, "want 0 or more; leave it out for the default")
		}
	}
	if ends && probe.SuccessThreshold > 1 {
		c.invalid(path.Child("successThreshold"), probe.SuccessThreshold, "want 1: one success is enough for such a probe")
	}
	if grace := probe.TerminationGracePeriodSeconds; ends && grace != nil && *grace <= 0 {
		c.invalid(path.Child("terminationGracePeriodSeconds"), *grace, "want a number of seconds above 0")
	}
}
