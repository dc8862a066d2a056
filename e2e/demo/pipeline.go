package demo

// pipeline is what the demo builds. @AGENT@, @SHELL@ and @SERVICE@ stand for
// images in the cluster's registry.
const pipeline = `steps:
  - label: no plugin
    command: echo "hello from $(hostname)"; ls
  - label: two containers, two images
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @AGENT@
                command: [git]
                args:
                  - --no-pager
                  - log
                  - --format=checked out %h %s
              - image: @SHELL@
                command: ["echo second container, same checkout: $(ls)"]
  - label: with a service
    plugins:
      - kubernetes:
          sidecars:
            - name: web
              image: @SERVICE@
              command: [/hello, --listen=:8080]
              startupProbe:
                httpGet: {path: /, port: 8080}
                periodSeconds: 1
          podSpec:
            containers:
              - image: @SHELL@
                command: ["wget -q -O - http://127.0.0.1:8080/"]
`

// handMadePipeline goes to a queue that the dispatcher does not watch.
const handMadePipeline = `steps:
  - label: by hand
    command: echo "this job's own command, in a pod that kubectl made"
    agents: {queue: hand-made}
`

// handMadePod is what a person would type.
const handMadePod = `apiVersion: v1
kind: Pod
metadata:
  name: made-by-hand
  namespace: buildkite-jobs
  labels:
    buildkite.com/inject: "true"
  annotations:
    buildkite.com/agent-tags: queue=hand-made
spec:
  restartPolicy: Never
  containers:
    - name: mine
      image: @SHELL@
`
