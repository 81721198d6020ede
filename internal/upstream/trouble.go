package upstream

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// warnAgain is how often something that goes on failing is logged.
const warnAgain = time.Minute

// trouble logs what fails at Redis: once a minute while it does, and when it works again.
type trouble struct {
	// Static after construction.
	log      *zap.Logger
	refusals *redisconn.Refusals

	mu sync.Mutex
	// mu guards the following.
	warned map[string]time.Time // by what fails
}

// failed records that Redis did not do something.
func (u *Upstream) failed(what string, err error) {
	t := &u.trouble
	if u.pumps.Err() != nil {
		return // Close has closed the client
	}
	if t.refusals.Refused(what, err) {
		return
	}
	t.mu.Lock()
	last, now := t.warned[what], time.Now()
	due := now.Sub(last) >= warnAgain
	if due {
		if t.warned == nil {
			t.warned = make(map[string]time.Time)
		}
		t.warned[what] = now
	}
	t.mu.Unlock()
	if due {
		t.log.Warn("Redis does not answer as it should; tried again", zap.String("what", what), zap.Error(err))
	}
}

// answered records that Redis did it.
func (u *Upstream) answered(what string) {
	t := &u.trouble
	t.refusals.Granted(what)
	t.mu.Lock()
	_, warned := t.warned[what]
	delete(t.warned, what)
	t.mu.Unlock()
	if warned {
		t.log.Info("Redis answers again", zap.String("what", what))
	}
}
