package conn

import (
	"math/rand/v2"
	"testing"
)

var stageNames = [stages]string{"pending", "answering", "joined", "left", "ended"}

var stepNames = [steps]string{"answer", "join", "leave", "end"}

// at is a life in a stage.
func at(s stage) *life {
	l := new(life)
	l.at.Store(uint32(s))
	return l
}

func TestLife_EveryStepInEveryStage(t *testing.T) {
	want := map[stage]map[step]stage{ // the others lead nowhere
		pending:   {answer: answering, leave: left, end: ended},
		answering: {join: joined},
		joined:    {leave: left, end: ended},
	}
	for from := range stages {
		for s := range steps {
			l := at(from)
			was, ok := l.take(s)
			to, leads := want[from][s]
			if !leads {
				to = from
			}
			if was != from || ok != leads || l.stage() != to {
				t.Errorf("%s, %s: from %s, %v, to %s; want %v, to %s", stageNames[from], stepNames[s], stageNames[was], ok,
					stageNames[l.stage()], leads, stageNames[to])
			}
		}
	}
}

func TestLife_WhatHoldsInEachStage(t *testing.T) {
	for s, want := range map[stage]struct{ gone, handles bool }{
		pending: {}, answering: {}, joined: {handles: true}, left: {gone: true, handles: true}, ended: {gone: true},
	} {
		if l := at(s); l.gone() != want.gone || l.handles() != want.handles {
			t.Errorf("%s: gone %v, handles %v", stageNames[s], l.gone(), l.handles())
		}
	}
}

// Whatever happens, in whatever order: a life only goes on, is joined at most once and only by the answer, and ends once.
func TestLife_AnyStepsModel(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var l life
		var answers, joins, ends int
		for range 20 {
			s := step(rng.IntN(int(steps)))
			before := l.stage()
			_, ok := l.take(s)
			if l.stage() < before || ok == (l.stage() == before) {
				t.Fatalf("seed %d: %s took %s to %s, reported as %v", seed, stepNames[s], stageNames[before], stageNames[l.stage()], ok)
			}
			if !ok {
				continue
			}
			switch s {
			case answer:
				answers++
			case join:
				joins++
			case leave, end:
				ends++
			}
		}
		if answers > 1 || joins > answers || ends > 1 || (ends == 1) != l.gone() {
			t.Fatalf("seed %d: %d answers, %d joins, %d ends, at %s", seed, answers, joins, ends, stageNames[l.stage()])
		}
	}
}
