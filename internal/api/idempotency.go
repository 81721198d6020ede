package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// keyTime is how long an Idempotency-Key is kept.
const keyTime = 24 * time.Hour

// storeTime is how long the store may take for one thing.
const storeTime = 5 * time.Second

// slack is how much longer than its own time a call is taken to be running: for the store, and for a busy machine.
const slack = 10 * time.Second

// maxKey is the longest Idempotency-Key.
const maxKey = 255

// store keeps a text for each Idempotency-Key, for keyTime from its claim.
type store interface {
	// claim puts a text where there is none. Else it returns the one that is there and how long ago it was claimed.
	claim(ctx context.Context, key, text string) (present string, age time.Duration, err error)
	// replace puts a text in the place of another, and reports whether that was there. An empty text gives the key back.
	replace(ctx context.Context, key, old, text string) (done bool, err error)
}

// errStoreFull: the store takes no further key.
var errStoreFull = errors.New("too many keys")

// record is what the store keeps.
type record struct {
	Hash   string        `json:"hash"`             // of the body
	Holder string        `json:"holder,omitempty"` // of a call that runs
	Wait   time.Duration `json:"wait,omitempty"`   // how long such a call may take
	Answer *answer       `json:"answer,omitempty"` // of one that has ended
}

func (r record) text() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic("api: " + err.Error()) // a record holds nothing that cannot be written
	}
	return string(text)
}

// idempotency runs each call of a key once.
type idempotency struct{ store store }

// run does call, which takes wait at most, unless that has been done before for the same client, path, key and body.
func (i *idempotency) run(r *http.Request, client digest, body []byte, wait time.Duration, call func() answer) answer {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return call()
	}
	if len(values) > 1 || values[0] == "" || len(values[0]) > maxKey || !isVisible(values[0]) {
		return refuse(http.StatusBadRequest, codeInvalid, "Idempotency-Key must be one text of 1 to 255 visible ASCII characters")
	}
	sum := sha256.New()
	sum.Write(client[:])
	sum.Write([]byte(r.URL.Path + "\x00" + values[0]))
	key := hex.EncodeToString(sum.Sum(nil))
	hash := sha256.Sum256(body)
	mine := record{Hash: hex.EncodeToString(hash[:]), Holder: rand.Text(), Wait: wait}.text()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTime)
	defer cancel()
	present, age, err := i.store.claim(ctx, key, mine)
	switch {
	case errors.Is(err, errStoreFull):
		return refuse(http.StatusServiceUnavailable, codeOverloaded, "too many Idempotency-Keys are kept; nothing was done")
	case err != nil:
		i.giveBack(r.Context(), key, mine) // it may have been claimed
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "the Idempotency-Key cannot be kept; nothing was done")
	case present != "" && present != mine:
		return i.repeat(ctx, key, hash, present, age)
	}
	a := call()
	if a.undone {
		i.giveBack(r.Context(), key, mine)
		return a
	}
	i.replace(r.Context(), key, mine, record{Hash: hex.EncodeToString(hash[:]), Answer: &a}.text())
	return a
}

// giveBack frees a key whose call has done nothing.
func (i *idempotency) giveBack(ctx context.Context, key, mine string) { i.replace(ctx, key, mine, "") }

// replace may fail: the claim then stands, and turns into an unknown outcome.
func (i *idempotency) replace(ctx context.Context, key, old, text string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	_, _ = i.store.replace(ctx, key, old, text)
}

// repeat answers a request whose key has been used.
func (i *idempotency) repeat(ctx context.Context, key string, hash [sha256.Size]byte, present string, age time.Duration) answer {
	var have record
	switch err := json.Unmarshal([]byte(present), &have); {
	case err != nil:
		return unknown()
	case have.Hash != hex.EncodeToString(hash[:]):
		return refuse(http.StatusUnprocessableEntity, codeOtherBody, "this Idempotency-Key was used with another body")
	case have.Answer != nil:
		have.Answer.replayed = true
		if have.Answer.Status == http.StatusServiceUnavailable {
			have.Answer.retryAfter = 1
		}
		return *have.Answer
	case age < have.Wait+slack:
		a := refuse(http.StatusConflict, codeRunning, "a request with this Idempotency-Key is being worked on")
		a.retryAfter = 1
		return a
	}
	// Whoever had the claim is gone, or has been stopped and goes on later: its answer must find that it is too late.
	a := unknown()
	done, err := i.store.replace(ctx, key, present, record{Hash: have.Hash, Answer: &a}.text())
	if err == nil && !done { // it has just answered, or another request came first
		if now, _, err := i.store.claim(ctx, key, present); err == nil && now != "" && now != present {
			return i.repeat(ctx, key, hash, now, age)
		}
	}
	return a
}

// unknown is the answer where it is not known what was done.
func unknown() answer {
	return problem{
		Status: http.StatusServiceUnavailable, Code: codeUnknown,
		Detail: "it is not known whether this was done; with this Idempotency-Key it is not done again",
	}.answer()
}
