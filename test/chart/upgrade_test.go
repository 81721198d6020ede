package chart

import (
	"slices"
	"strings"
	"testing"
)

// Helm does not remove hooks with the release, and says what one that failed has said only where it is told to.
func TestConfigCheck_GoesWhenItFailsAndSaysWhy(t *testing.T) {
	annotations := asObject(render(t).must(t, "Job", release+"-config-check").at("metadata", "annotations"))
	policies, _ := annotations["helm.sh/hook-delete-policy"].(string)
	if want := []string{"before-hook-creation", "hook-succeeded", "hook-failed"}; !slices.Equal(strings.Split(policies, ","), want) {
		t.Errorf("it is deleted for %q, want %q", policies, want)
	}
	if got := annotations["helm.sh/hook-output-log-policy"]; got != "hook-failed" {
		t.Errorf("its log is printed for %v", got)
	}
}
