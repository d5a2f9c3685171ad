//! Who gets what, when each of several wishes needs a thing of its own: a bipartite matching, by Kuhn's algorithm.

use std::ops::Range;

/// Whether each wish can have a thing of its own of those that suit it. A thing that is given is taken back where its owner can have another.
pub(super) fn can_serve<I: Iterator<Item = usize>>(
    wishes: Range<usize>,
    things: usize,
    suiting: impl Fn(usize) -> I,
) -> bool {
    let mut owners = vec![None; things];
    wishes.into_iter().all(|wish| serve(wish, &suiting, &mut owners, &mut vec![false; things]))
}

fn serve<I: Iterator<Item = usize>>(
    wish: usize,
    suiting: &impl Fn(usize) -> I,
    owners: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for thing in suiting(wish) {
        match tried.get_mut(thing) {
            Some(is_tried) if !*is_tried => *is_tried = true,
            Some(_) | None => continue,
        }
        let owner = owners.get(thing).copied().flatten();
        if owner.is_none_or(|owner| serve(owner, suiting, owners, tried)) {
            owners.iter_mut().skip(thing).take(1).for_each(|owner| *owner = Some(wish));
            return true;
        }
    }
    false
}

/// A number for each wish, all different: in the order of the wishes each gets the first of its choices that leaves the later ones one.
/// `None` when they cannot all have one.
///
/// Of each wish as many choices as there are wishes are enough: the others cannot take all of these.
pub(crate) fn choose(choices: &[Vec<u16>]) -> Option<Vec<u16>> {
    let mut chosen: Vec<u16> = Vec::with_capacity(choices.len());
    for wish in choices {
        chosen.extend(wish.iter().find(|number| !chosen.contains(number)).copied());
    }
    // Most do not get in each other's way.
    if chosen.len() == choices.len() {
        return Some(chosen);
    }
    chosen.clear();
    let mut numbers: Vec<u16> = choices.iter().flatten().copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let can_serve_from = |from: usize, taken: &[u16]| {
        can_serve(from..choices.len(), numbers.len(), |wish| {
            let left = choices.get(wish).into_iter().flatten().filter(|number| !taken.contains(number));
            left.filter_map(|number| numbers.binary_search(number).ok()).collect::<Vec<_>>().into_iter()
        })
    };
    if !can_serve_from(0, &chosen) {
        return None;
    }
    for (at, wish) in choices.iter().enumerate() {
        let next = wish.iter().filter(|number| !chosen.contains(number)).find(|number| {
            let taken: Vec<u16> = chosen.iter().chain([*number]).copied().collect();
            can_serve_from(at + 1, &taken)
        })?;
        chosen.push(*next);
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tries every way, the preferred ones first.
    fn first_of_all(choices: &[Vec<u16>], taken: &mut Vec<u16>) -> bool {
        let Some((wish, rest)) = choices.split_first() else { return true };
        wish.iter().any(|number| {
            if taken.contains(number) {
                return false;
            }
            taken.push(*number);
            first_of_all(rest, taken) || {
                taken.pop();
                false
            }
        })
    }

    #[test]
    fn the_first_choice_goes_where_another_has_no_second() {
        assert_eq!(choose(&[vec![1, 2], vec![1]]), Some(vec![2, 1]));
        assert_eq!(choose(&[vec![1, 2], vec![1, 2], vec![3]]), Some(vec![1, 2, 3]));
        assert_eq!(choose(&[vec![1, 2], vec![2, 1], vec![2]]), None);
        assert_eq!(choose(&[]), Some(Vec::new()));
    }

    // Whole lists here, only their beginnings there: those are enough.
    proptest! {
        #[test]
        fn every_wish_gets_what_it_would_get_if_every_way_was_tried(
            wishes in proptest::collection::vec(proptest::collection::vec(0u16..8, 0..8), 0..6),
        ) {
            let distinct = |list: &Vec<u16>| {
                let mut seen = Vec::new();
                list.iter().filter(|number| !seen.contains(*number) && { seen.push(**number); true }).copied().collect()
            };
            let wishes: Vec<Vec<u16>> = wishes.iter().map(distinct).collect();
            let begun: Vec<Vec<u16>> =
                wishes.iter().map(|wish| wish.iter().copied().take(wishes.len()).collect()).collect();
            let mut expected = Vec::new();
            let expected = first_of_all(&wishes, &mut expected).then_some(expected);
            prop_assert_eq!(choose(&begun), expected);
        }
    }
}
