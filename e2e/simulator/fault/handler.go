package fault

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Around returns next with the script's faults. lost, if not nil, is told the
// UUID of a job whose request was carried out and whose answer was then lost or
// spoilt.
func (s *Script) Around(api string, next http.Handler, lost func(jobUUID, what string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := s.claim(api, operationOf(api, r))
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if f.Kind != Slow && !pause(r, f.DelayMilliseconds) {
			panic(http.ErrAbortHandler) // the client has gone
		}
		h := happening{Fault: f, script: s, next: next, lost: lost}
		h.serve(w, r)
	})
}

// happening is a fault that happens to one request.
type happening struct {
	Fault
	script *Script
	next   http.Handler
	lost   func(jobUUID, what string)
}

func (h *happening) serve(w http.ResponseWriter, r *http.Request) {
	switch h.Kind {
	case Delay:
		h.next.ServeHTTP(w, r)
		return
	case Slow, Truncate, Cut:
		h.spoil(w, r)
		return
	}
	if edit, ok := edits[h.Kind]; ok {
		h.edit(w, r, edit)
		return
	}
	if h.CarryOut {
		h.carryOut(r)
	}
	switch h.Kind {
	case Reset:
		reset(w)
	case Hang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Garbage:
		body := h.Body
		if body == "" {
			body = "\x00\xff{\"data\":]\x01\xfe garbage"
		}
		send(w, http.StatusOK, h.Headers, []byte(body))
	case Bomb:
		send(w, http.StatusOK, map[string]string{"Content-Encoding": "gzip"}, bomb())
	case Unauthorized:
		send(w, http.StatusUnauthorized, h.Headers, []byte(unauthorized(h.API)))
	default:
		body := h.Body
		if body == "" {
			body = message(h.API, http.StatusText(h.Status))
		}
		send(w, h.Status, h.Headers, []byte(body))
	}
}

// carryOut has the API do its work and keeps the answer.
func (h *happening) carryOut(r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	h.next.ServeHTTP(recorder, r)
	if job := jobOf(r.URL.Path); job != "" && h.lost != nil {
		h.lost(job, string(h.Kind)+" on "+r.Method+" "+r.URL.Path)
	}
	return recorder
}

// edit changes the true answer.
func (h *happening) edit(w http.ResponseWriter, r *http.Request, edit func(*Fault, map[string]any) bool) {
	recorder := httptest.NewRecorder()
	h.next.ServeHTTP(recorder, r)
	body := recorder.Body.Bytes()
	var answer map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // not to change what is not meant
	if decoder.Decode(&answer) != nil || !edit(&h.Fault, answer) {
		h.script.unclaim(h.ID)
	} else if edited, err := json.Marshal(answer); err == nil {
		body = edited
	}
	copyHeaders(w, recorder)
	send(w, recorder.Code, h.Headers, body)
}

// spoil sends the true answer slowly or in part.
func (h *happening) spoil(w http.ResponseWriter, r *http.Request) {
	recorder := httptest.NewRecorder()
	if h.Kind == Slow {
		h.next.ServeHTTP(recorder, r)
	} else {
		recorder = h.carryOut(r)
	}
	body := recorder.Body.Bytes()
	copyHeaders(w, recorder)
	half := body[:len(body)/2]
	switch h.Kind {
	case Cut:
		send(w, recorder.Code, h.Headers, half)
	case Truncate:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(recorder.Code)
		h.drip(w, r, body)
	}
}

// pieces is how many parts a slow answer comes in.
const pieces = 20

func (h *happening) drip(w http.ResponseWriter, r *http.Request, body []byte) {
	for i := range pieces {
		_, _ = w.Write(body[len(body)*i/pieces : len(body)*(i+1)/pieces])
		_ = http.NewResponseController(w).Flush()
		if !pause(r, max(1, h.DelayMilliseconds/pieces)) {
			panic(http.ErrAbortHandler)
		}
	}
}

func copyHeaders(w http.ResponseWriter, from *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), from.Header())
}

func send(w http.ResponseWriter, status int, headers map[string]string, body []byte) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// reset closes a connection so that the peer sees a reset and not an end.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 resets the stream
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

// pause waits and reports whether the client waits too.
func pause(r *http.Request, milliseconds int) bool {
	if milliseconds == 0 {
		return true
	}
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
		return true
	}
}
