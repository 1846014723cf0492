"""What do tests of writes of many rows start from? A table of 240 rows, of which the asker sees 160."""

ROWS = 240
TABLES = [
    "create table stock (id integer primary key, place varchar(20), n integer, secret varchar(20))",
    "insert into stock values " + ", ".join(f"({n}, 'p{n % 3}', {n}, 's{n}')" for n in range(1, ROWS + 1)),
]
RULES = """
grants:
  - {id: a, to: "group:people", on: shop.stock, allow: [select, insert, update, delete], where: place <> 'p2'}
  - {id: r, to: "group:reviewers", on: shop.stock, allow: [select]}
  - {id: d, to: "group:dim", on: shop.stock, columns: [id, place, n], allow: [select]}
approvals:
  - {id: many, on: shop.stock, require: [{groups: [reviewers, dim], needed: 1}], sample: true}
"""
SEEN = ROWS * 2 // 3
