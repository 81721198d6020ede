package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// connection is one that ends with a context.
type connection struct{ ctx context.Context } //nolint:containedctx // as a socket has

func (c connection) Context() context.Context { return c.ctx }
func (connection) Closed() <-chan struct{}    { return nil }
func (connection) SendAway()                  {}

func TestBudget_WaitersGoOnInTurnOrGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{socket: 100, total: 150}
		var one, two, three account
		admit := func(a *account, size int, within time.Duration) <-chan error {
			done := make(chan error, 1)
			go func() { done <- b.admit(a, size, time.Now().Add(within), connection{t.Context()}) }()
			synctest.Wait()
			return done
		}
		now := func(what string, done <-chan error, want error) {
			t.Helper()
			synctest.Wait()
			select {
			case err := <-done:
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			default:
				t.Errorf("%s still waits", what)
			}
		}
		waits := func(what string, done <-chan error) {
			t.Helper()
			select {
			case err := <-done:
				t.Errorf("%s does not wait: %v", what, err)
			default:
			}
		}
		now("an event that is larger than all", admit(&one, 1000, time.Hour), nil)
		b.release(&one, 1000)
		now("the first", admit(&one, 90, time.Hour), nil)
		share := admit(&one, 20, time.Hour) // over its share
		waits("one over its share", share)
		now("another socket", admit(&two, 60, time.Hour), nil)
		whole := admit(&three, 50, time.Hour)
		small := admit(&two, 1, time.Hour)
		waits("one over the whole", whole)
		waits("a small one behind it", small)
		now("one that would make too much wait", admit(&three, 100, time.Hour), ErrOverloaded)
		b.release(&one, 90)
		now("the one that waited first", whole, nil)
		now("the one behind it", small, nil)
		now("the one over its share", share, nil)

		gone, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- b.admit(&one, 90, time.Now().Add(time.Hour), connection{gone}) }()
		synctest.Wait()
		cancel()
		now("one whose socket goes", left, ErrGone)
		late := admit(&one, 90, time.Second)
		time.Sleep(time.Second)
		now("one whose deadline passes", late, ErrUnavailable)
		b.release(&one, 20)
		b.release(&two, 61)
		b.release(&three, 50)
		if b.Held() != 0 || b.waiting != 0 || len(b.queue) != 0 {
			t.Errorf("%d bytes are held, %d wait in %d waiters", b.Held(), b.waiting, len(b.queue))
		}
	})
}

// Whatever sockets do in whatever order, what is held stays within the bounds, and in the end nothing is.
func TestBudget_Model(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			b := budget{socket: 100, total: 300}
			accounts := make([]account, 8)
			for i := range accounts {
				a, local := &accounts[i], rand.New(rand.NewPCG(seed, uint64(i+2)))
				go func() {
					for range 100 {
						size := 1 + local.IntN(60)
						err := b.admit(a, size, time.Now().Add(time.Duration(local.IntN(20))*time.Millisecond), connection{t.Context()})
						if err == nil {
							time.AfterFunc(time.Duration(local.IntN(30))*time.Millisecond, func() { b.release(a, size) })
						}
						time.Sleep(time.Duration(local.IntN(5)) * time.Millisecond)
					}
				}()
			}
			for range 200 {
				time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
				synctest.Wait()
				b.mu.Lock()
				sum := 0
				for i := range accounts {
					sum += accounts[i].held
					if accounts[i].held > b.socket {
						t.Errorf("seed %d: a socket holds %d", seed, accounts[i].held)
					}
				}
				if sum != b.held || b.held > b.total {
					t.Errorf("seed %d: %d are held, the sockets have %d", seed, b.held, sum)
				}
				b.mu.Unlock()
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if b.Held() != 0 || b.waiting != 0 {
				t.Errorf("seed %d: in the end %d bytes are held, %d wait", seed, b.Held(), b.waiting)
			}
		})
	}
}
