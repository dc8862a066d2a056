package fault

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// maxQueryBytes is how much of a GraphQL request is read to learn its name.
const maxQueryBytes = 1 << 20

// operationOf names a request as Fault.Operation does.
func operationOf(api string, r *http.Request) string {
	if api != GraphQL {
		return r.Method + " " + r.URL.Path
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxQueryBytes))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	if err != nil {
		return ""
	}
	var request struct {
		Query         string `json:"query"`
		OperationName string `json:"operationName"`
	}
	if json.Unmarshal(body, &request) != nil {
		return ""
	}
	if request.OperationName != "" {
		return request.OperationName
	}
	document, err := parser.ParseQuery(&ast.Source{Input: request.Query})
	if err != nil || len(document.Operations) == 0 {
		return ""
	}
	return document.Operations[0].Name
}

// jobOf returns the UUID in a path of the Agent API that is about a job.
func jobOf(path string) string {
	_, rest, found := strings.Cut(path, "/jobs/")
	if !found {
		return ""
	}
	job, _, _ := strings.Cut(rest, "/")
	return job
}

func unauthorized(api string) string {
	return message(api, "Authentication required. Please supply a valid API Access Token")
}

// message is how an API words an error.
func message(api, text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // text always can be encoded
	}
	if api == GraphQL {
		return `{"errors":[{"message":` + string(quoted) + `}]}`
	}
	return `{"message":` + string(quoted) + `}`
}

// bombBytes is the size of a Bomb unpacked.
const bombBytes = 128 << 20

var bomb = sync.OnceValue(func() []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for range bombBytes / len(zeros) {
		_, _ = writer.Write(zeros) // a buffer takes all
	}
	_ = writer.Close()
	return packed.Bytes()
})
