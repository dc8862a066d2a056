package endtoend

import "testing"

// The service answers only after a while; the job's first request must find it.
func TestJobWaitsForTheStartupProbeOfAService(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: waits
    plugins:
      - kubernetes:
          sidecars:
            - image: @SHELL@
              command: [sh, -c, 'sleep 4; mkdir /tmp/www; echo ready > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www']
              startupProbe:
                tcpSocket: {port: 8080}
                periodSeconds: 1
                failureThreshold: 30
          podSpec:
            containers:
              - image: @SHELL@
                command: ["echo \"the service is $(wget -q -O - http://127.0.0.1:8080/)\""]
`)
	b.passes(t)
	b.job(t, "waits").logs(t, "\nthe service is ready\n")
}
