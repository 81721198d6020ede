package rooms

// Target says whom a message is for: the members of any of Rooms (everyone when Rooms is empty) who are in none of
// Except. A member in several of the rooms counts once.
type Target struct {
	Rooms  []string
	Except []string
}
