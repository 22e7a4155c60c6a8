//! Whose counters are whose.

use pg_third_party_auth::cache::tally::{self, Owner, Row};

fn position(owners: &mut [Owner], database: u32, provider: Option<&str>) -> usize {
    tally::row(owners, database, provider, |_| 0)
        .unwrap()
        .position
}

#[test]
fn each_provider_of_each_database_has_a_row_of_its_own() {
    let mut owners = [Owner::EMPTY; 8];
    let everyone = [
        (1, None),
        (1, Some("")),
        (1, Some("clerk")),
        (2, Some("clerk")),
        (2, None),
    ];
    let rows: Vec<_> = everyone
        .iter()
        .map(|(database, provider)| tally::row(&mut owners, *database, *provider, |_| 0).unwrap())
        .collect();
    for (position, row) in rows.iter().enumerate() {
        let is_new = true;
        assert_eq!(*row, Row { position, is_new });
    }
    for (expected, (database, provider)) in everyone.iter().enumerate() {
        let row = tally::row(&mut owners, *database, *provider, |_| 0).unwrap();
        assert!(!row.is_new && row.position == expected);
        assert!(owners[expected].is_of(*database));
        assert_eq!(owners[expected].provider(), *provider);
    }
}

#[test]
fn when_all_rows_are_taken_the_one_that_has_counted_least_gives_way() {
    let mut owners = [Owner::EMPTY; 3];
    for name in ["a", "b", "c"] {
        position(&mut owners, 1, Some(name));
    }
    let totals = [7, 2, 9];
    let row = tally::row(&mut owners, 1, Some("d"), |position| totals[position]).unwrap();
    let is_new = true;
    assert_eq!(
        row,
        Row {
            position: 1,
            is_new
        }
    );
    assert_eq!(owners[1].provider(), Some("d"));
    assert!(tally::row(&mut [], 1, None, |_| 0).is_none());
}

#[test]
fn rows_of_what_is_gone_are_given_back() {
    let mut owners = [Owner::EMPTY; 4];
    for (database, provider) in [(1, None), (1, Some("a")), (1, Some("b")), (2, Some("b"))] {
        position(&mut owners, database, provider);
    }
    let mut given_back = Vec::new();
    let registered =
        |owner: &Owner| !owner.is_of(1) || matches!(owner.provider(), None | Some("a"));
    tally::retain(&mut owners, registered, |position| {
        given_back.push(position)
    });
    tally::retain(
        &mut owners,
        |owner| owner.database() == 1,
        |position| given_back.push(position),
    );
    assert_eq!(given_back, [2, 3]);
    let of = |database| owners.iter().filter(|owner| owner.is_of(database)).count();
    assert_eq!((of(1), of(2)), (2, 0));
}
